// A service that tells what it sees, and does what messages ask of it. What differs between the SDKs' versions is given:
// how stores are used.

/** Starts the service on a version of the SDK. */
module.exports = function probe({ websocket }, run) {
  const socket = websocket('probe');
  const tell = (event, more = {}) => console.log(`saw ${JSON.stringify({ event, ...more })}`);

  socket.on('connect', async (ctx) => {
    tell('connect', { query: ctx.req.query, connection: ctx.req.connectionId });
    if (ctx.req.query.throw) throw new Error('the handler throws');
    if (ctx.req.query.refuse) ctx.res.success = false;
  });

  socket.on('disconnect', async (ctx) => {
    tell('disconnect', { connection: ctx.req.connectionId });
  });

  socket.on('message', async (ctx) => {
    const { connectionId } = ctx.req;
    const text = ctx.req.text();
    if (!text.startsWith('{')) {
      tell('message', { text });
      // A turn of the event loop, in which another message could overtake this one.
      await new Promise((resolve) => setTimeout(resolve, text.startsWith('slow') ? 50 : 0));
      await socket.send(connectionId, ctx.req.data);
      tell('done', { text });
      return;
    }
    const asked = JSON.parse(text);
    const answer = await answers[asked.do](asked, connectionId).catch((error) => ({ error: `${error.message}` }));
    if (answer !== undefined) await socket.send(connectionId, answer);
  });

  const answers = {
    exit: async () => process.exit(7),
    throw: async () => {
      setTimeout(() => { throw new Error('nobody catches this'); });
    },
    send: async ({ to, text }) => ({ sent: await socket.send(to, text).then(() => to) }),
    close: async ({ to }, self) => {
      await socket.close(to ?? self);
      return to === undefined ? undefined : { closed: to };
    },
    pid: async () => ({
      pid: process.pid,
      environment: process.env.NITRIC_ENVIRONMENT,
      address: process.env.SERVICE_ADDRESS,
      host: process.env.NITRIC_SERVICE_HOST,
      port: process.env.NITRIC_SERVICE_PORT,
      proxy: process.env.NITRIC_HTTP_PROXY_PORT,
      path: process.env.SERVICE_PATH,
    }),
    ...run(socket),
  };
};
