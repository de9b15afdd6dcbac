// Functions that are not Node's.
export default $config({
  app: () => ({ name: "runtimes", home: "aws" }),
  async run() {
    new sst.aws.Function("Python", { runtime: "python3.12", handler: "functions/src/api.handler", python: { container: true } });
    new sst.aws.Function("Rust", { runtime: "rust", handler: "./crates/say" });
    new sst.aws.Function("Named", { runtime: "rust", handler: "./crates/say.shout" });
    new sst.aws.Function("Go", { runtime: "go", handler: "./go/cmd", concurrency: { reserved: 3 } });
    new sst.aws.Function("Own", { runtime: "provided.al2023", bundle: "built", handler: "bootstrap" });
    new sst.aws.Function("Bundled", { bundle: "dist", handler: "index.handler", architecture: "arm64", streaming: true });
  },
});
