// Prints, reads and writes files, and asks for what Node.js has.
import { existsSync, readFileSync, writeFileSync } from "fs";
import path from "path";
import * as crypto from "node:crypto";

console.log("read at", new Date().getFullYear() > 2000);

export default $config({
  app: () => ({ name: JSON.parse(readFileSync("package.json", "utf8")).name, home: "aws" }),
  async run() {
    writeFileSync("written.txt", "by sst.config.ts");
    if (existsSync(path.join($cli.paths.root, "written.txt"))) throw new Error("nothing is written");
    const asset = $asset("package.json");
    new sst.aws.Function("Fn", {
      handler: "src/fn.handler",
      environment: {
        HASH: crypto.createHash("sha256").update("x").digest("hex").slice(0, 8),
        UUID: typeof globalThis.crypto.randomUUID(),
        HERE: path.basename(import.meta.dirname ?? process.cwd()),
        ASSET: path.basename(asset.path),
        COMMAND: $cli.command,
      },
    });
  },
});
