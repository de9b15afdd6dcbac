// Load and abuse of the broker: who does not read, who storms, who leaves much behind. Memory stays in bounds.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { MB, memory } from '../harness/memory.mjs';
import { Wire, broker, join, unique } from '../harness/mqtt.mjs';
import { eventually, within } from '../harness/patience.mjs';

const LONG_MS = 60_000;

let server;
before(async () => {
  server = await broker();
  if (server.other) server.pid = Number(process.env.MQTT_BROKER_PID ?? process.pid);
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

async function raw(options) {
  const wire = await Wire.tcp(server.tcpPort, 5);
  wire.connack = await wire.connect(options);
  assert.equal(wire.connack.reasonCode, 0);
  return wire;
}

/** As many connections, made at once. */
const many = (count, options) => within(
  Promise.all(Array.from({ length: count }, (_, index) => raw(options?.(index)))), `${count} clients connect`, LONG_MS,
);

/** The server still does its work. */
async function assertAlive() {
  const topic = unique('alive');
  const peer = await join(server.ws);
  await peer.subscribe(topic, { qos: 1 });
  await peer.publish(topic, 'alive', { qos: 1 });
  assert.equal((await peer.next()).payload, 'alive');
  await peer.leave();
}

/** Resolves once the memory is no more than `room` above what it was. */
const settles = (before, room, what) => eventually(
  async () => (await memory(server)) < before + room, `memory is back within ${room / MB} MB: ${what}`, LONG_MS,
);

test('subscribers that do not read cost a bounded queue each, and the others get all', async () => {
  const topic = unique('fanout');
  const [readers, deaf] = [await many(100), await many(20)];
  for (const wire of [...readers, ...deaf]) await wire.subscribe({ topic, qos: 0 });
  for (const { stream } of deaf) stream.pause();
  const publisher = await raw();
  const before = await memory(server);
  let peak = before;
  const payload = 'p'.repeat(4_096);
  const [batches, batch] = [40, 50];
  for (let sent = 0; sent < batches; sent += 1) {
    for (let index = 0; index < batch; index += 1) publisher.publish(topic, payload);
    // Those who read keep up with what comes: nothing of theirs may be dropped.
    for (const wire of readers) {
      await wire.packets.count(({ cmd }) => cmd === 'publish', batch, 'a batch of messages', LONG_MS);
      wire.packets.items.length = 0;
    }
    peak = Math.max(peak, await memory(server));
  }
  // 8 MB were sent to each; a queue is 1 MB.
  assert.ok(peak - before < (20 + 24) * MB, `memory grew by ${(peak - before) / MB} MB`);
  for (const wire of [...readers, ...deaf, publisher]) wire.drop();
  await assertAlive();
  await settles(before, 24 * MB, 'those who did not read are gone');
});

test('a publisher of QoS 1 that is faster than its subscriber loses nothing', async () => {
  const topic = unique('faster');
  const slow = await raw({ properties: { receiveMaximum: 5 } });
  await slow.subscribe({ topic, qos: 1 });
  const publisher = await join(server.tcp);
  const count = 1_000;
  const all = Promise.all(Array.from({ length: count }, (_, index) => publisher.publish(topic, `${index}`, { qos: 1 })));
  await within(all, 'all publishes are acknowledged', LONG_MS);
  for (let index = 0; index < count; index += 1) {
    const message = await slow.next('publish');
    assert.equal(String(message.payload), `${index}`);
    slow.acknowledge(message);
  }
  await Promise.all([slow.leave(), publisher.leave()]);
});

test('a session that is away keeps a bounded queue', async (t) => {
  if (server.other) return t.skip('bounds of Fanwire');
  const topic = unique('away');
  const clientId = unique('away');
  const properties = { sessionExpiryInterval: 600 };
  const away = await raw({ clientId, properties });
  await away.subscribe({ topic, qos: 1 });
  await away.leave();
  const publisher = await join(server.tcp);
  const before = await memory(server);
  const payload = 'p'.repeat(16_384);
  for (let sent = 0; sent < 1_000; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => publisher.publish(topic, payload, { qos: 1 })));
  }
  const grown = (await memory(server)) - before;
  assert.ok(grown < 32 * MB, `memory grew by ${grown / MB} MB`);
  const back = await raw({ clientId, clean: false, properties: { sessionExpiryInterval: 0 } });
  assert.equal(back.connack.sessionPresent, true);
  await back.next('publish');
  back.drop();
  await publisher.leave();
  await assertAlive();
});

test('a storm of subscriptions is served, and memory returns', async () => {
  const before = await memory(server);
  const storm = async () => {
    const wires = await many(20);
    for (let round = 0; round < 10; round += 1) {
      for (const [index, wire] of wires.entries()) {
        const subscriptions = Array.from({ length: 100 }, (_, each) => ({ topic: `storm/${index}/${round}/${each}/+/#`, qos: 0, nl: false, rap: false, rh: 0 }));
        wire.send({ cmd: 'subscribe', messageId: round + 1, subscriptions });
      }
      for (const wire of wires) assert.equal((await wire.next('suback')).granted.length, 100);
    }
    for (const wire of wires) wire.drop();
  };
  await storm();
  const once = Math.max(await memory(server), before);
  for (let index = 0; index < 3; index += 1) await storm();
  await settles(once, 16 * MB, 'the subscriptions are gone');
  await assertAlive();
});

test('a storm of clients that come back is served, each with its session and what waited for it', async () => {
  const base = unique('storm');
  const count = 500;
  const properties = { sessionExpiryInterval: 600 };
  const first = await many(count, (index) => ({ clientId: `${base}-${index}`, properties }));
  await Promise.all(first.map((wire, index) => wire.subscribe({ topic: `${base}/${index}`, qos: 1 })));
  for (const wire of first) wire.drop();
  const publisher = await join(server.tcp);
  await within(
    Promise.all(first.map((_, index) => publisher.publish(`${base}/${index}`, `for ${index}`, { qos: 1 }))),
    'all publishes are acknowledged', LONG_MS,
  );
  const again = await many(count, (index) => ({ clientId: `${base}-${index}`, clean: false, properties: { sessionExpiryInterval: 0 } }));
  for (const [index, wire] of again.entries()) {
    assert.equal(wire.connack.sessionPresent, true, `client ${index}`);
    const message = await wire.next('publish');
    assert.equal(String(message.payload), `for ${index}`);
    wire.acknowledge(message);
  }
  await within(Promise.all(again.map((wire) => wire.leave())), 'all leave', LONG_MS);
  await publisher.leave();
  await assertAlive();
});

test('clients that take each other\'s id over in turn leave one', async () => {
  const clientId = unique('contested');
  const contestants = new Set(await Promise.all(Array.from({ length: 50 }, async () => {
    const wire = await Wire.tcp(server.tcpPort, 5);
    wire.connect({ clientId }).catch(() => {});
    wire.closed.then(() => contestants.delete(wire));
    return wire;
  })));
  await eventually(() => contestants.size === 1, 'one is left');
  const [last] = contestants;
  await last.subscribe({ topic: clientId, qos: 0 });
  last.publish(clientId, 'mine');
  assert.equal(String((await last.next('publish')).payload), 'mine');
  await last.leave();
});

test('many retained messages are found again by a wildcard, and go', async () => {
  const base = unique('retained');
  const count = 5_000;
  const publisher = await raw();
  const before = await memory(server);
  for (let index = 0; index < count; index += 1) publisher.publish(`${base}/${index % 50}/${index}`, `value ${index}`, { retain: true });
  // Everything before an acknowledged message of the same client has been taken.
  publisher.publish(`${base}/last`, 'last', { qos: 1, messageId: 1, retain: true });
  await publisher.next('puback');
  const reader = await raw();
  await reader.subscribe({ topic: `${base}/7/+`, qos: 0 });
  await reader.packets.count(({ cmd }) => cmd === 'publish', count / 50, 'the retained messages of a branch');
  reader.packets.items.length = 0;
  await reader.subscribe({ topic: `${base}/#`, qos: 0 }, { messageId: 2 });
  const found = await reader.packets.count(({ cmd }) => cmd === 'publish', count + 1, 'all retained messages', LONG_MS);
  const topics = new Set(found.map(({ topic }) => topic));
  assert.equal(topics.size, count + 1);
  reader.drop();
  for (const topic of topics) publisher.publish(topic, '', { retain: true });
  publisher.publish(`${base}/last`, '', { qos: 1, messageId: 2, retain: true });
  await publisher.next('puback');
  const late = await raw();
  await late.subscribe({ topic: `${base}/#`, qos: 0 });
  publisher.publish(`${base}/now`, 'first');
  assert.equal(String((await late.next('publish')).payload), 'first');
  for (const wire of [late, publisher]) await wire.leave();
  await settles(before, 24 * MB, 'the retained messages are gone');
});
