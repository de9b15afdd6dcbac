/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  app(input) {
    return {
      name: "sst-realtime",
      removal: input?.stage === "production" ? "retain" : "remove",
      home: "aws",
    };
  },
  async run() {
    const token = new sst.Secret("ChatToken", "PLACEHOLDER_TOKEN");
    const topic = `${$app.name}/${$app.stage}/chat`;

    const realtime = new sst.aws.Realtime("MyRealtime", {
      authorizer: { handler: "src/authorizer.handler", link: [token] },
    });
    realtime.subscribe("src/subscriber.handler", { filter: `${topic}/+` });

    new sst.aws.Function("Announce", {
      handler: "src/announce.handler",
      link: [realtime],
      environment: { TOPIC: `${topic}/lobby` },
    });

    const web = new sst.aws.StaticSite("MyWeb", {
      path: "web",
      build: { command: "npm run build", output: "dist" },
      environment: {
        VITE_ENDPOINT: realtime.endpoint,
        VITE_AUTHORIZER: realtime.authorizer,
        VITE_TOPIC: `${topic}/lobby`,
      },
    });

    return { web: web.url };
  },
});
