// Records what the real server of tRPC (applyWSSHandler on ws) answers to the frames of
// cases.mjs, into a file for each version and transformer beside this one. The plane's
// own tests send the same frames to ours and expect the same back
// (crates/fanwire-subscriptions/tests/golden.rs).
//
//   node tests/golden/trpc/record.mjs

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

import superjson from 'superjson';
import { WebSocket, WebSocketServer } from 'ws';

import { cases } from './cases.mjs';
import { router } from './router.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** A message that every server answers, and only after what was asked before. */
const FENCE = { id: 'fence', method: 'query', params: { path: 'fence', input: undefined } };

for (const version of ['10.45', '11.25']) {
  const load = createRequire(path.join(here, '../../trpc', version, 'package.json'));
  for (const transformer of [undefined, superjson]) {
    const recorded = [];
    for (const each of cases) {
      if (!each.versions.includes(version)) continue;
      recorded.push(await record(load, transformer, each));
    }
    const name = `${version}${transformer ? '-superjson' : ''}.json`;
    writeFileSync(path.join(here, name), `${JSON.stringify(recorded, null, 1)}\n`);
    console.log(`${name}: ${recorded.length} cases`);
  }
}

/** Plays one case against a server of its own; says each frame, and how it ended. */
async function record(load, transformer, { name, query = '', steps }) {
  const { applyWSSHandler } = load('@trpc/server/adapters/ws');
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => wss.on('listening', resolve));
  const handler = applyWSSHandler({ wss, ...router(load, transformer) });
  const socket = new WebSocket(`ws://127.0.0.1:${wss.address().port}/trpc${query}`);
  const frames = [];
  const waiting = [];
  const wake = () => waiting.splice(0).forEach((resolve) => resolve());
  let closed;
  socket.on('message', (data) => (frames.push(data.toString()), wake()));
  socket.on('close', (code) => ((closed = code), wake()));
  await new Promise((resolve) => socket.on('open', resolve));
  const next = async () => {
    while (!frames.length && closed === undefined) await new Promise((resolve) => waiting.push(resolve));
    return frames.shift();
  };
  const encode = (message) => JSON.stringify(inputs(message, transformer));

  const transcript = [];
  for (const step of steps) {
    if (step.reconnect) {
      handler.broadcastReconnectNotification();
      transcript.push({ reconnect: true });
    } else if (step.send !== undefined) {
      const text = typeof step.send === 'string' ? step.send : encode(step.send);
      socket.send(text);
      transcript.push({ send: text });
    }
    if (step.closes) {
      for (let frame; (frame = await next()) !== undefined; ) transcript.push({ receive: frame });
      transcript.push({ closed });
      break;
    }
    // All that was to come has come when as many have, and then the fence is answered.
    for (let count = step.receives ?? 0; count > 0; count -= 1) transcript.push({ receive: await next() });
    if (!step.open) continue;
    const fence = encode(FENCE);
    socket.send(fence);
    for (let frame; !(frame = await next()).startsWith('{"id":"fence"'); ) transcript.push({ receive: frame });
  }
  socket.terminate();
  wss.close();
  return { name, query, transcript };
}

/** The message with the transformer's inputs. */
function inputs(message, transformer) {
  if (Array.isArray(message)) return message.map((each) => inputs(each, transformer));
  if (!transformer || !message.params) return message;
  const { input, ...params } = message.params;
  return { ...message, params: { input: transformer.serialize(input), ...params } };
}
