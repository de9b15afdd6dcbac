// A second service, with a websocket of its own, and one to which nobody can connect.
const { websocket } = require('@nitric/sdk');

const socket = websocket('other');
socket.on('connect', async () => {});
socket.on('message', async (ctx) => socket.send(ctx.req.connectionId, `other ${ctx.req.text()}`));

websocket('mute').on('message', async () => {});
