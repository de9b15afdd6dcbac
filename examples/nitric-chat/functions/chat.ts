import { collection, websocket } from '@nitric/sdk';

const connections = collection('connections').for('reading', 'writing', 'deleting');
const socket = websocket('socket');

socket.on('connect', async (ctx) => {
  await connections.doc(ctx.req.connectionId).set({});
});

socket.on('disconnect', async (ctx) => {
  await connections.doc(ctx.req.connectionId).delete();
});

socket.on('message', async (ctx) => {
  const everyone = await connections.query().stream();
  const end = new Promise((resolve) => everyone.on('end', resolve));
  everyone.on('data', async (connection) => {
    if (connection.id !== ctx.req.connectionId) {
      await socket.send(connection.id, ctx.req.data);
    }
  });
  await end;
});
