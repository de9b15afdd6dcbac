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
});
