import { kv, websocket } from '@nitric/sdk';

const connections = kv('connections').allow('get', 'set', 'delete');
const socket = websocket('socket');

socket.on('connect', async (ctx) => {
  await connections.set(ctx.req.connectionId, {});
});

socket.on('disconnect', async (ctx) => {
  await connections.delete(ctx.req.connectionId);
});

socket.on('message', async (ctx) => {
  for await (const id of connections.keys()) {
    if (id !== ctx.req.connectionId) {
      await socket.send(id, ctx.req.data);
    }
  }
});
