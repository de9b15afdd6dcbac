// A busy chat for as many minutes as asked: clients come, talk, are posted to and
// leave. Memory must stay where it was after the first tenth of the time.

import { readFile } from 'node:fs/promises';

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

import { app, start } from '../harness/fanwire.mjs';
import { connect } from '../harness/websocket.mjs';

const MB = 1024 * 1024;
const CLIENTS = 50;
/** What memory may grow by between the first tenth and the end. */
const GROWTH = 16 * MB;

const minutes = Number(process.argv[2]);
const began = Date.now();
const ends = began + minutes * 60_000;
const server = await start(app('contract'));
const sdk = new ApiGatewayManagementApiClient({
  endpoint: server.management(), region: 'eu-west-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
let rounds = 0;

async function memory() {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
}

/** One visitor after another: connects, echoes, is posted to, leaves in one of three ways. */
async function visitor(seat) {
  while (Date.now() < ends) {
    const client = await connect(server.url());
    const { connectionId } = JSON.parse(await client.ask(`seat ${seat}`));
    const text = 'x'.repeat(1 + ((rounds * 7919) % 30_000));
    if (JSON.parse(await client.ask(text)).body !== text) throw new Error('the echo differs');
    await sdk.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: text }));
    if (await client.next() !== text) throw new Error('the post differs');
    rounds += 1;
    if (rounds % 3 === 0) client.socket.terminate();
    else await client.close(rounds % 3 === 1 ? 1000 : undefined);
    // The log of events is for tests that look back; here it would only grow.
    server.events.items.length = 0;
  }
}

let settled;
const watch = setInterval(async () => {
  if (settled === undefined && Date.now() > began + (ends - began) / 10) settled = await memory();
}, 1000);
try {
  await Promise.all(Array.from({ length: CLIENTS }, (_, seat) => visitor(seat)));
} finally {
  clearInterval(watch);
}
const last = await memory();
await server.stop();
console.log(`${rounds} visits in ${minutes} minutes; memory ${(settled / MB).toFixed(1)} MB, then ${(last / MB).toFixed(1)} MB`);
if (last - settled > GROWTH) process.exit(1);
