import { kv, websocket } from "@nitric/sdk";

// Who is connected: a value without members for each.
const connections = kv("connections").allow("get", "set", "delete");

const socket = websocket("socket");

socket.on("connect", async (ctx) => {
  await connections.set(ctx.req.connectionId, {});
});

socket.on("disconnect", async (ctx) => {
  await connections.delete(ctx.req.connectionId);
});

socket.on("message", async (ctx) => {
  for await (const id of connections.keys()) {
    if (id === ctx.req.connectionId) continue;
    try {
      await socket.send(id, ctx.req.data);
    } catch {
      // One that went without a goodbye, such as at the end of a server that was killed.
      await connections.delete(id);
    }
  }
});
