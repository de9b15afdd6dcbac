// Declares everything that there is, and serves a websocket beside it.
const { api, bucket, queue, schedule, secret, topic, websocket } = require('@nitric/sdk');

api('main').get('/hello', async (ctx) => ctx);
bucket('files').allow('read');
bucket('files').on('write', '*', async () => {});
queue('jobs').allow('enqueue');
secret('key').allow('access');
schedule('hourly').every('1 hour', async () => {});
topic('news').subscribe(async () => {});
const publisher = topic('updates').allow('publish');

const socket = websocket('beside');
socket.on('connect', async () => {});
socket.on('message', async (ctx) => {
  const answer = await publisher.publish({}).then(() => 'published', (error) => error.message);
  await socket.send(ctx.req.connectionId, `${ctx.req.text()}: ${answer}`);
});
