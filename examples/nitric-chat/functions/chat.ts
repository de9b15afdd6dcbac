import { collection, websocket } from "@nitric/sdk";

// Who is connected: a document without fields for each.
const connections = collection("connections").for("reading", "writing", "deleting");

const socket = websocket("socket");

socket.on("connect", async (ctx) => {
  await connections.doc(ctx.req.connectionId).set({});
});

socket.on("disconnect", async (ctx) => {
  await connections.doc(ctx.req.connectionId).delete();
});

socket.on("message", async (ctx) => {
  const all = await connections.query().stream();
  const end = new Promise<void>((resolve) => all.on("end", resolve));
  all.on("data", async (connection) => {
    if (connection.id === ctx.req.connectionId) return;
    try {
      await socket.send(connection.id, ctx.req.data);
    } catch {
      // One that went without a goodbye, such as at the end of a server that was killed.
      await connections.doc(connection.id).delete();
    }
  });
  await end;
});
