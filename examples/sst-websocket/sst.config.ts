/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  app(input) {
    return {
      name: "sst-websocket",
      removal: input?.stage === "production" ? "retain" : "remove",
      home: "aws",
      providers: { aws: { region: "eu-west-1" } },
    };
  },
  async run() {
    $transform(sst.aws.Function, (args) => {
      args.runtime ??= "nodejs22.x";
      args.memory ??= "256 MB";
    });

    const storage = await import("./infra/storage");
    const { api } = await import("./infra/api");

    return { url: api.url, table: storage.connections.name };
  },
});
