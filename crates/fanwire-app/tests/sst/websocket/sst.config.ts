// Two APIs with their authorizers.
export default $config({
  app: () => ({ name: "websocket", home: "aws" }),
  async run() {
    const api = new sst.aws.ApiGatewayWebSocket("Api", {
      domain: { name: "ws.example.com", dns: sst.aws.dns() },
      accessLog: { retention: "1 week" },
    });
    const gate = api.addAuthorizer("Gate", { lambda: { function: { handler: "src/gate.handler" }, identitySources: ["route.request.header.Auth"] } });
    const plain = api.addAuthorizer("Plain", { lambda: { function: "src/gate.plain" } });
    const jwt = api.addAuthorizer("Jwt", { jwt: { issuer: "https://example.com", audiences: ["chat"] } });
    api.route("$connect", "src/connect.handler", { auth: { lambda: gate.id } });
    api.route("$disconnect", "src/disconnect.handler");
    api.route("$default", { handler: "src/default.handler", link: [api] });
    api.route("send-message", "src/send.handler");
    api.route("send_message", "src/send.handler", { name: "Second" });

    const other = new sst.aws.ApiGatewayWebSocket("Other");
    other.route("$connect", "src/other.handler", { auth: { jwt: { authorizer: jwt.id } } });
    return { url: api.url, management: other.managementEndpoint, plain: plain.id };
  },
});
