// Two components, which are one endpoint, and every form of a subscriber.
export default $config({
  app: () => ({ name: "realtime", home: "aws" }),
  async run() {
    const table = new sst.aws.Dynamo("Messages", { fields: { id: "string" }, primaryIndex: { hashKey: "id" } });
    const shared = new sst.aws.Function("Shared", { handler: "src/shared.handler" });
    const chat = new sst.aws.Realtime("Chat", { authorizer: { handler: "src/chat.authorizer", link: [table], timeout: "3 seconds" } });
    const game = new sst.aws.Realtime("Game", { authorizer: "src/game.authorizer" });
    chat.subscribe("src/all.handler", { filter: `${$app.name}/${$app.stage}/#` });
    chat.subscribe({ handler: "src/rooms.handler", link: [chat, table] }, { filter: $interpolate`${table.name}/+` });
    chat.subscribe(shared.arn, { filter: "shared" });
    game.subscribe("arn:aws:lambda:us-east-1:123456789012:function:elsewhere", { filter: "elsewhere" });
    return { endpoint: chat.endpoint, authorizer: game.authorizer, handler: chat.nodes.authHandler.name };
  },
});
