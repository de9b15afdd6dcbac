// As the tutorial has it, with its mistake: it sends to whoever spoke, once for everybody else.
import { collection, websocket } from "@nitric/sdk";

const connections = collection("connections").for("reading", "writing", "deleting");
const socket = websocket("socket");

socket.on("connect", async (ctx) => {
  await connections.doc(ctx.req.connectionId).set({});
});

socket.on("disconnect", async (ctx) => {
  await connections.doc(ctx.req.connectionId).delete();
});

socket.on("message", async (ctx) => {
  const allConnections = await connections.query().stream();
  const streamEnd = new Promise<any>((res) => allConnections.on("end", res));
  allConnections.on("data", async (connection) => {
    if (connection.id !== ctx.req.connectionId) {
      await socket.send(ctx.req.connectionId, ctx.req.data);
    }
  });
  await streamEnd;
});
