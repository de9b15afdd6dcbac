// Two subscribers and a publisher. `node demo.js` prints what each subscriber sees.

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { createTRPCProxyClient, createWSClient, wsLink } from '@trpc/client';
import { WebSocket } from 'ws';

const url = process.argv[2] ?? 'ws://localhost:3001/dev';
const lambda = new LambdaClient({
  endpoint: new URL(url.replace(/^ws/, 'http')).origin,
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});

/** Subscribes, resolves once that is done, and leaves after the first message. */
function subscribe(user, room) {
  const socket = createWSClient({ url: `${url}?user=${user}`, WebSocket });
  const client = createTRPCProxyClient({ links: [wsLink({ client: socket })] });
  return new Promise((onStarted, onError) => {
    const subscription = client.room.messages.subscribe({ room }, {
      onStarted,
      onError,
      onData(data) {
        console.log(`${user} in the ${room} sees: ${data}`);
        subscription.unsubscribe();
        socket.close();
      },
    });
  });
}

/** Publishes to those whom `filter` chooses. */
async function publish(data, filter) {
  const event = { path: 'room.messages', data, filter };
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: 'rooms-dev-publish', Payload: JSON.stringify(event) }),
  );
  if (FunctionError) throw new Error(Buffer.from(Payload).toString());
}

await Promise.all([subscribe('Ada', 'kitchen'), subscribe('Grace', 'hall')]);
await publish('dinner is ready', { name: 'room', input: { room: 'kitchen' } });
await publish('the taxi is here', { name: 'reader', ctx: { user: 'Grace' } });
