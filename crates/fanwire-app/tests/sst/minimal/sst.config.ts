/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  app(input) {
    return { name: "minimal", removal: input?.stage === "production" ? "retain" : "remove", home: "aws" };
  },
  async run() {
    new sst.aws.Function("Hello", { handler: "src/hello.handler" });
  },
});
