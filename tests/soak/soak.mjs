// A busy server for as many minutes as asked: clients of WebSockets and MQTT come, talk, are
// posted to and leave; some never read; handlers end their processes; settings are read again.
// After the first third of the time nothing may grow any more: memory, descriptors, threads,
// files. Until then what is bounded fills: the store's tables in memory, and for ten minutes
// the times at which connections that have ended would have been idle too long. At the end,
// when all have left, what there was has to be gone, and the server's own counters have to add
// up. Processes are as many as there are events at once, which no minute has in common with
// another: of these, one of each function may stay.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

import { app, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { MB, memory } from '../harness/memory.mjs';
import { join } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';
import { balance } from './counters.mjs';

const SEATS = 40;
const SPEAKERS = 10;
const SLOW = 5;
/** How often settings are read again, and somebody new is slow, in milliseconds. */
const RELOAD_MS = 20_000;
const SLOW_MS = 15_000;

/** What may be more at the end than after the first third. */
const GROWTH = { memory: 8 * MB, descriptors: 16, threads: 2, files: 20 };

/** Functions of the app: each keeps one process, and stops others that have idled for a minute. */
const FUNCTIONS = 3;

const minutes = Number(process.argv[2]);
const began = Date.now();
const ends = began + minutes * 60_000;
const isOver = () => Date.now() >= ends;

const settings = path.join(temporaryFolder('soak'), 'fanwire.serve.toml');
writeFileSync(settings, [
  '[access]', 'allow_anonymous = ["connections", "mqtt"]',
  '[telemetry]', 'address = "127.0.0.1:0"',
  '[drain]', 'window = "1s"',
].join('\n'));
const server = await start(app('soak'), { command: 'serve', args: ['--config', settings] });
const sdk = new ApiGatewayManagementApiClient({
  endpoint: server.management(), region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const counts = { visits: 0, messages: 0, crashes: 0, reloads: 0, slow: 0 };

/** What the server takes of the machine. */
async function taken() {
  const children = () => execFileSync('ps', ['-o', 'pid=', '--ppid', String(server.pid)], { encoding: 'utf8' });
  const files = (folder) => readdirSync(folder, { recursive: true }).length;
  return {
    memory: await memory(server),
    descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
    threads: Number(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]),
    processes: children().split('\n').filter(Boolean).length,
    files: files(server.data),
  };
}

/** One visitor after another: connects, echoes, is posted to, leaves in one of three ways. */
async function visitor(seat) {
  while (!isOver()) {
    const client = await connect(server.url());
    const { connectionId } = JSON.parse(await client.ask(`seat ${seat}`));
    const text = 'x'.repeat(1 + ((counts.visits * 7919) % 30_000));
    if (JSON.parse(await client.ask(text)).body !== text) throw new Error('the echo differs');
    await sdk.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: text }));
    if (await client.next() !== text) throw new Error('the post differs');
    counts.visits += 1;
    if (seat === 0 && counts.visits % 50 < SEATS) {
      client.send({ action: 'crash' });
      await client.next();
      counts.crashes += 1;
    }
    if (counts.visits % 3 === 0) client.socket.terminate();
    else await client.close(counts.visits % 3 === 1 ? 1000 : undefined);
    // The log of events is for tests that look back; here it would only grow.
    server.events.items.length = 0;
  }
}

/** One MQTT client after another: subscribes, hears itself and others, leaves its session or not. */
async function speaker(seat) {
  for (let round = 0; !isOver(); round += 1) {
    const keeps = round % 2 === 1;
    const peer = await join(`mqtt://${server.host}`, {
      clientId: `speaker-${seat}`, clean: !keeps, properties: { sessionExpiryInterval: keeps ? 30 : 0 },
    });
    await peer.subscribe([`talk/${seat}`, 'talk/all'], { qos: 1 });
    for (let n = 0; n < 50; n += 1) {
      await peer.publish(n % 10 ? `talk/${seat}` : 'talk/all', `${seat} ${round} ${n}`, { qos: n % 2, retain: n === 49 });
      counts.messages += 1;
    }
    await peer.publish('rare/event', '{}', { qos: 1 });
    peer.messages.items.length = 0;
    if (round % 4 === 0) peer.client.stream.destroy();
    else await peer.leave();
  }
}

/** Subscribes to much and reads nothing, until somebody takes its place. */
async function slow() {
  const peer = await join(`mqtt://${server.host}`);
  await peer.subscribe('flood/#', { qos: 0 });
  peer.client.stream.pause();
  counts.slow += 1;
  return peer;
}

async function slowOnes() {
  let sitting = [];
  const flooder = await join(`mqtt://${server.host}`);
  let turn = Date.now();
  while (!isOver()) {
    if (sitting.length < SLOW) sitting.push(await slow());
    await flooder.publish('flood/x', 'y'.repeat(20_000), { qos: 0 });
    if (Date.now() - turn > SLOW_MS) {
      turn = Date.now();
      sitting.splice(0).forEach(({ client }) => client.end(true));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  sitting.forEach(({ client }) => client.end(true));
  await flooder.leave();
}

let settled;
const watch = setInterval(async () => {
  if (settled === undefined && Date.now() > began + (ends - began) / 3) settled = await taken();
}, 1000);
const reload = setInterval(() => {
  server.child.kill('SIGHUP');
  counts.reloads += 1;
}, RELOAD_MS);
try {
  await Promise.all([
    ...Array.from({ length: SEATS }, (_, seat) => visitor(seat)),
    ...Array.from({ length: SPEAKERS }, (_, seat) => speaker(seat)),
    slowOnes(),
  ]);
} finally {
  clearInterval(watch);
  clearInterval(reload);
}
const faults = [];
const last = await taken();
for (const [what, allowed] of Object.entries(GROWTH)) {
  if (last[what] - settled[what] > allowed) faults.push(`${what} grew from ${settled[what]} to ${last[what]}`);
}
await eventually(
  async () => (await balance(server.ready.telemetry)).connections === 0,
  'the server counts no connections once all have left',
).catch(({ message }) => faults.push(message));
await eventually(
  async () => (await taken()).processes <= FUNCTIONS,
  'one process of each function is left',
  90_000,
).catch(({ message }) => faults.push(message));
const { processes } = await taken();
const { sent, delivered, dropped } = await balance(server.ready.telemetry);
if (sent !== delivered + dropped) faults.push(`${sent} messages were to be sent, ${delivered} were and ${dropped} were dropped`);
const { code } = await server.stop();
if (code !== 0) faults.push(`the server ended with ${code}`);
if (/panicked/.test(server.stderr)) faults.push(server.stderr);
const shown = ({ memory: bytes, ...rest }) => JSON.stringify({ memory: `${(bytes / MB).toFixed(1)} MB`, ...rest });
console.log(`${minutes} minutes: ${JSON.stringify(counts)}; ${sent} messages to be sent = ${delivered} delivered + ${dropped} dropped`);
console.log(`after a third ${shown(settled)}, at the end ${shown(last)}, then ${processes} processes`);
faults.forEach((fault) => console.log(`FAULT: ${fault}`));
process.exit(faults.length ? 1 : 0);
