/** Who is connected, and in which room. */
export const connections = new sst.aws.Dynamo("Connections", {
  fields: { id: "string", room: "string" },
  primaryIndex: { hashKey: "id" },
  globalIndexes: { byRoom: { hashKey: "room" } },
  ttl: "expires",
});

/** What is said is kept here, in AWS. */
export const archive = new sst.aws.Bucket("Archive");
