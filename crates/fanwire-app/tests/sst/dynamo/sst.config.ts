// Keys, indexes, expiry and streams.
export default $config({
  app: () => ({ name: "dynamo", home: "aws" }),
  async run() {
    const table = new sst.aws.Dynamo("Full", {
      fields: { user: "string", at: "number", token: "binary", room: "string" },
      primaryIndex: { hashKey: "user", rangeKey: "at" },
      globalIndexes: {
        byToken: { hashKey: "token", projection: "keys-only" },
        byRoom: { hashKey: ["room"], rangeKey: ["at", "user"], projection: ["text"] },
      },
      localIndexes: { byRoomOfUser: { rangeKey: "room" } },
      ttl: "expires",
      stream: "new-and-old-images",
      deletionProtection: true,
    });
    table.subscribe("Changes", "src/changes.handler", { filters: [{ eventName: ["INSERT"] }] });
    const existing = sst.aws.Dynamo.get("Existing", "made-elsewhere");
    new sst.aws.Function("Fn", { handler: "src/fn.handler", link: [table, existing], environment: { ARN: table.arn } });
  },
});
