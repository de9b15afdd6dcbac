// Several nodes that are one MQTT broker: clients on one, subscribers on another, and what
// becomes of sessions and messages when a client moves or a node dies.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Cluster } from '../harness/cluster.mjs';
import { eventually } from '../harness/patience.mjs';
import { join, unique } from '../harness/mqtt.mjs';

/** How long what waits for leases may take, in milliseconds. */
const LEASES_MS = 40_000;

const url = (node) => `mqtt://127.0.0.1:${node.port}`;

describe('nodes that are one broker', () => {
  let cluster;
  let first;
  let second;
  let third;
  before(async () => {
    cluster = await Cluster.start(3);
    [first, second, third] = cluster.nodes;
  });
  after(() => cluster.stop());

  test('bring messages of every QoS to subscribers of all nodes, once', async () => {
    const topic = unique('t');
    const subscribers = await Promise.all([first, second, second, third].map((node) => join(url(node))));
    for (const subscriber of subscribers) assert.deepEqual(await subscriber.subscribe(`${topic}/#`), [2]);
    const publisher = await join(url(first));
    for (const qos of [0, 1, 2]) await publisher.publish(`${topic}/${qos}`, `with ${qos}`, { qos });
    await publisher.publish(`${topic}/end`, 'end', { qos: 2 });
    for (const subscriber of subscribers) {
      const payloads = (await subscriber.until('end')).sort();
      assert.deepEqual(payloads, ['with 0', 'with 1', 'with 2']);
    }
    await Promise.all([...subscribers, publisher].map((peer) => peer.leave()));
  });

  test('bring messages of QoS 0 once and in order, whichever nodes listen and however their filters overlap', async () => {
    const topic = unique('t');
    const publisher = await join(url(first));
    const steady = await join(url(second));
    await steady.subscribe([`${topic}/#`, `${topic}/+`, `${topic}/n`], { qos: 0 });
    const sent = [];
    const send = async (count) => {
      for (let n = 0; n < count; n += 1) {
        sent.push(String(sent.length));
        await publisher.publish(`${topic}/n`, sent.at(-1));
      }
    };
    // Each that comes and goes changes which nodes a message is for.
    for (let round = 0; round < 10; round += 1) {
      await send(20);
      const passing = await join(url(third));
      await passing.subscribe([`${topic}/#`, `${topic}/n`], { qos: 0 });
      const from = sent.length;
      await send(20);
      await publisher.publish(`${topic}/n`, `end of ${round}`);
      assert.deepEqual(await passing.until(`end of ${round}`), sent.slice(from));
      assert.deepEqual(await steady.until(`end of ${round}`), sent.slice(round * 40));
      await passing.leave();
    }
    await Promise.all([publisher, steady].map((peer) => peer.leave()));
  });

  test('know a subscription everywhere once it is acknowledged', async () => {
    const publisher = await join(url(third));
    for (let round = 0; round < 20; round += 1) {
      const topic = unique('t');
      const subscriber = await join(url(round % 2 ? first : second));
      await subscriber.subscribe(topic, { qos: 1 });
      await publisher.publish(topic, 'at once', { qos: 1 });
      assert.equal((await subscriber.next()).payload, 'at once');
      await subscriber.leave();
    }
    await publisher.leave();
  });

  test('share a subscription among members of all nodes: each message has one receiver', async () => {
    const topic = unique('t');
    const members = await Promise.all([first, second, third].map((node) => join(url(node))));
    for (const member of members) await member.subscribe(`$share/group/${topic}`, { qos: 1 });
    const publisher = await join(url(second));
    const sent = Array.from({ length: 30 }, (_, n) => String(n));
    for (const payload of sent) await publisher.publish(topic, payload, { qos: 1 });
    const got = () => members.flatMap((member) => member.messages.items.map(({ payload }) => payload));
    await eventually(() => got().length >= sent.length, 'all are received');
    assert.deepEqual(got().sort(), [...sent].sort());
    for (const member of members) assert.ok(member.messages.items.length > 0, 'every member has some');
    await Promise.all([...members, publisher].map((peer) => peer.leave()));
  });

  test('have a client in one place: an older connection elsewhere is told 0x8E', async () => {
    for (const protocolVersion of [4, 5]) {
      const clientId = unique('client');
      const before = await join(url(first), { clientId, protocolVersion });
      const now = await join(url(second), { clientId, protocolVersion });
      await before.end();
      if (protocolVersion === 5) assert.equal(before.packets.items.at(-1).reasonCode, 0x8e);
      await now.publish(unique('t'), 'still here', { qos: 1 });
      await now.leave();
    }
  });

  test('find a session on whichever node its client lands, with all that came meanwhile', async () => {
    const topic = unique('t');
    const session = { clientId: unique('client'), clean: false, properties: { sessionExpiryInterval: 3600 } };
    const before = await join(url(first), session);
    await before.subscribe(`${topic}/+`, { qos: 1 });
    before.drop();
    await before.end();
    const publisher = await join(url(third));
    await publisher.publish(`${topic}/1`, 'while away', { qos: 1 });
    const now = await join(url(second), session);
    assert.equal(now.connack.sessionPresent, true);
    assert.equal((await now.next()).payload, 'while away');
    await publisher.publish(`${topic}/2`, 'when back', { qos: 1 });
    assert.equal((await now.next()).payload, 'when back');
    await now.leave({ properties: { sessionExpiryInterval: 0 } });
    const anew = await join(url(third), session);
    assert.equal(anew.connack.sessionPresent, false);
    await Promise.all([anew, publisher].map((peer) => peer.leave({ properties: { sessionExpiryInterval: 0 } })));
  });

  test('retain messages for subscribers of all nodes, those that come later too', async () => {
    const topic = unique('t');
    const publisher = await join(url(first));
    await publisher.publish(`${topic}/1`, 'retained', { qos: 1, retain: true });
    await publisher.publish(`${topic}/2`, 'gone', { qos: 1, retain: true });
    await publisher.publish(`${topic}/2`, '', { qos: 1, retain: true });
    const fourth = await cluster.add('node-4');
    for (const node of [second, third, fourth]) {
      await eventually(async () => {
        const subscriber = await join(url(node));
        await subscriber.subscribe(`${topic}/#`, { qos: 1 });
        await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
        const payloads = await subscriber.until('end');
        await subscriber.leave();
        assert.deepEqual(payloads, ['retained']);
        return true;
      }, 'the retained message and no other is there');
    }
    await publisher.leave();
  });

  test('have sessions, and what is sent to them, outlive the node that they lived on; publish wills once', async () => {
    const topic = unique('t');
    const doomed = await cluster.add('doomed');
    const session = { clientId: unique('client'), clean: false, properties: { sessionExpiryInterval: 3600 } };
    const before = await join(url(doomed), session);
    await before.subscribe(`${topic}/#`, { qos: 1 });
    const willing = await join(url(doomed), { will: { topic: `will/${topic}`, payload: 'gone', qos: 1 } });
    const listener = await join(url(third));
    await listener.subscribe(`will/${topic}`, { qos: 1 });
    const publisher = await join(url(first));
    await publisher.publish(`${topic}/1`, 'before', { qos: 1 });
    assert.equal((await before.next()).payload, 'before');
    before.drop();
    await publisher.publish(`${topic}/2`, 'away', { qos: 1 });
    await doomed.kill();
    await willing.end();
    const meanwhile = publisher.publish(`${topic}/3`, 'meanwhile', { qos: 1 });
    const now = await join(url(second), { ...session, connectTimeout: LEASES_MS });
    assert.equal(now.connack.sessionPresent, true);
    await meanwhile;
    await publisher.publish(`${topic}/end`, 'end', { qos: 1 });
    const payloads = new Set(await now.until('end'));
    payloads.delete('before');
    assert.deepEqual([...payloads].sort(), ['away', 'meanwhile']);
    assert.equal((await listener.next('the will')).payload, 'gone');
    await publisher.publish(`will/${topic}`, 'end', { qos: 1 });
    assert.deepEqual(await listener.until('end'), []);
    await Promise.all([now, publisher, listener].map((peer) => peer.leave({ properties: { sessionExpiryInterval: 0 } })));
  });

  test('bring what a client has had of QoS 2 no second time, where the node of its session is killed', async () => {
    const topic = unique('t');
    const doomed = await cluster.add('doomed-too');
    const session = { clientId: unique('client'), clean: false, properties: { sessionExpiryInterval: 3600 } };
    const before = await join(url(doomed), session);
    await before.subscribe(topic, { qos: 2 });
    const publisher = await join(url(first));
    for (let n = 0; n < 10; n += 1) await publisher.publish(topic, `had ${n}`, { qos: 2 });
    await before.packets.count(({ cmd }) => cmd === 'pubrel', 10, 'all are released');
    before.drop();
    await doomed.kill();
    const meanwhile = publisher.publish(topic, 'meanwhile', { qos: 2 });
    const now = await join(url(second), { ...session, connectTimeout: LEASES_MS });
    assert.equal(now.connack.sessionPresent, true);
    await meanwhile;
    await publisher.publish(topic, 'end', { qos: 2 });
    assert.deepEqual(await now.until('end'), ['meanwhile']);
    await Promise.all([now, publisher].map((peer) => peer.leave({ properties: { sessionExpiryInterval: 0 } })));
  });

  test('lose nothing that is published where a node was killed and is started again at once', async () => {
    const topic = unique('t');
    const doomed = await cluster.add('doomed-again');
    const session = { clientId: unique('client'), clean: false, properties: { sessionExpiryInterval: 3600 } };
    const before = await join(url(doomed), session);
    await before.subscribe(topic, { qos: 1 });
    before.drop();
    await doomed.kill();
    const again = await cluster.add('doomed-again');
    const publisher = await eventually(() => join(url(again), { connectTimeout: LEASES_MS }), 'it lets clients in', LEASES_MS);
    await publisher.publish(topic, 'meanwhile', { qos: 1 });
    const now = await join(url(second), { ...session, connectTimeout: LEASES_MS });
    assert.equal(now.connack.sessionPresent, true);
    assert.equal((await now.next()).payload, 'meanwhile');
    await Promise.all([now, publisher].map((peer) => peer.leave({ properties: { sessionExpiryInterval: 0 } })));
  });

  test('leave the will of a client to whoever takes its node for dead, where that only hangs', async () => {
    const topic = unique('will');
    const hanging = await cluster.add('hanging');
    const willing = await join(url(hanging), { will: { topic, payload: 'gone', qos: 1 } });
    const listener = await join(url(third));
    await listener.subscribe(topic, { qos: 1 });
    process.kill(hanging.pid, 'SIGSTOP');
    assert.equal((await listener.messages.take('the will', LEASES_MS)).payload, 'gone');
    process.kill(hanging.pid, 'SIGCONT');
    await willing.end();
    // It is a node again, and has said what it had to say.
    const publisher = await eventually(() => join(url(hanging)), 'it lets clients in again', LEASES_MS);
    await publisher.publish(topic, 'end', { qos: 1 });
    assert.deepEqual(await listener.until('end'), []);
    await Promise.all([listener, publisher].map((peer) => peer.leave()));
  });

  test('call a function that hears once for each message, on whichever node that comes in', async () => {
    const topic = `heard/${unique('t')}`;
    const texts = [];
    for (const [number, node] of [first, second, third].entries()) {
      const peer = await join(url(node));
      await peer.subscribe(topic, { qos: 1 });
      for (let n = 0; n < 5; n += 1) {
        texts.push(`${topic} ${number} ${n}`);
        await peer.publish(topic, JSON.stringify({ text: texts.at(-1) }), { qos: 1 });
      }
      await peer.leave();
    }
    const heard = () => cluster.heard().filter((text) => text.startsWith(topic));
    await eventually(() => heard().length >= texts.length, 'all are heard');
    assert.deepEqual(heard().sort(), texts.sort());
  });
});
