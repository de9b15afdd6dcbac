// Everything that depends on the stage.
export default $config({
  async app({ stage }) {
    return {
      name: "stages",
      home: "aws",
      removal: ["production", "staging"].includes(stage) ? "retain-all" : "remove",
      protect: stage === "production",
      providers: { aws: { region: stage === "production" ? "eu-central-1" : "us-west-2", profile: "work" } },
    };
  },
  async run() {
    const isProduction = $app.stage === "production";
    const args = { handler: "src/main.handler", memory: isProduction ? "2 GB" : "512 MB", timeout: "1 minute" };
    args.environment = { STAGE: $app.stage, APP: $app.name, DEV: String($dev), REMOVAL: $app.removal };
    new sst.aws.Function("Main", args);
    if (isProduction) new sst.aws.Cron("Nightly", { schedule: "rate(1 day)", function: "src/nightly.handler" });
    else if ($dev) new sst.aws.Function("Debug", { handler: "src/debug.handler", dev: false });
  },
});
