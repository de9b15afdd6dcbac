import { archive, connections } from "./storage";

export const api = new sst.aws.ApiGatewayWebSocket("MyApi");

const gate = api.addAuthorizer("gate", {
  lambda: { function: "src/gate.handler", identitySources: ["route.request.querystring.room"] },
});

api.route("$connect", { handler: "src/connect.handler", link: [connections] }, { auth: { lambda: gate.id } });
api.route("$disconnect", { handler: "src/disconnect.handler", link: [connections] });
api.route("say", { handler: "src/say.handler", link: [api, connections, archive] });
