// What MQTT 5 has and 3.1.1 has not: aliases, bounds, delayed wills, shared subscriptions. A test whose name begins
// with that of a case of client_test5 of Eclipse's paho.mqtt.testing asks for the same.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Wire, broker, join, unique } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';

let server;
before(async () => {
  server = await broker();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

const enter = (options) => join(server.tcp, options);

async function raw(options) {
  const wire = await Wire.tcp(server.tcpPort, 5);
  wire.connack = await wire.connect(options);
  assert.equal(wire.connack.reasonCode, 0);
  return wire;
}

describe('topic aliases', { concurrency: 4 }, () => {
  test('client topic alias: 0 ends the connection', async () => {
    const wire = await raw();
    // mqtt-packet does not write one.
    wire.write([0x32, 11, 0, 3, ...Buffer.from('a/b'), 0, 1, 3, 0x23, 0, 0]);
    assert.ok([0x94, 0x82, 0x81].includes(await wire.end()));
  });

  test('client topic alias: one above what CONNACK allows ends the connection', async () => {
    const wire = await raw();
    const most = wire.connack.properties.topicAliasMaximum ?? 0;
    wire.publish('a/b', 'x', { properties: { topicAlias: most + 1 } });
    assert.equal(await wire.end(), 0x94);
  });

  test('client topic alias: it stands for the topic it came with, until the connection ends', async () => {
    const topic = unique('alias');
    const other = unique('alias');
    const clientId = unique('aliasing');
    const wire = await raw({ clientId, properties: { sessionExpiryInterval: 600 } });
    assert.ok(wire.connack.properties.topicAliasMaximum >= 1);
    await wire.subscribe([topic, other]);
    const heard = async (on = wire) => {
      const message = await on.next('publish');
      if (message.qos === 1) on.acknowledge(message);
      return [message.topic, String(message.payload)];
    };
    const properties = { topicAlias: 1 };
    wire.publish(topic, 'sets it', { qos: 1, messageId: 11, properties });
    assert.deepEqual(await heard(), [topic, 'sets it']);
    wire.publish('', 'uses it', { qos: 1, messageId: 12, properties });
    assert.deepEqual(await heard(), [topic, 'uses it']);
    wire.publish(other, 'changes it', { qos: 1, messageId: 13, properties });
    assert.deepEqual(await heard(), [other, 'changes it']);
    wire.publish('', 'uses it', { qos: 0, properties });
    assert.deepEqual(await heard(), [other, 'uses it']);
    await wire.leave();

    const again = await raw({ clientId, clean: false, properties: { sessionExpiryInterval: 0 } });
    assert.equal(again.connack.sessionPresent, true);
    again.publish(topic, 'no alias', { qos: 1, messageId: 14 });
    assert.deepEqual(await heard(again), [topic, 'no alias']);
    again.publish('', 'forgotten', { qos: 1, messageId: 15, properties });
    assert.ok([0x94, 0x82].includes(await again.end()));
  });

  test('server topic alias: where the client allows one, the topic comes once', async () => {
    const topic = unique('alias');
    const wire = await raw({ properties: { topicAliasMaximum: 1 } });
    await wire.subscribe(topic);
    for (const qos of [0, 1, 2]) {
      wire.publish(topic, 'x', { qos, messageId: qos ? qos : undefined });
      if (qos === 2) {
        await wire.next('pubrec');
        wire.send({ cmd: 'pubrel', messageId: 2, reasonCode: 0 });
      }
      const message = await wire.next('publish');
      assert.equal(message.properties.topicAlias, 1);
      assert.equal(message.topic, qos === 0 ? topic : '');
      if (qos === 1) wire.acknowledge(message);
    }
    await wire.leave();
  });

  for (const [what, properties] of [['says nothing', undefined], ['says 0', { topicAliasMaximum: 0 }]]) {
    test(`server topic alias: a client that ${what} gets none`, async () => {
      const topic = unique('alias');
      const wire = await raw({ properties });
      await wire.subscribe(topic);
      for (let index = 0; index < 3; index += 1) {
        wire.publish(topic, 'x');
        const message = await wire.next('publish');
        assert.equal(message.topic, topic);
        assert.equal(message.properties?.topicAlias, undefined);
      }
      await wire.leave();
    });
  }
});

describe('bounds', { concurrency: 4 }, () => {
  test('maximum packet size: one above the server\'s ends the connection', async (t) => {
    const wire = await raw();
    const most = wire.connack.properties.maximumPacketSize;
    if (most === undefined && server.other) return t.skip('this broker states none');
    wire.publish('x', Buffer.alloc(most));
    assert.equal(await wire.end(), 0x95);
  });

  test('maximum packet size: one above the client\'s is not sent to it, and others are', async () => {
    const topic = unique('size');
    const wire = await raw({ properties: { maximumPacketSize: 64 } });
    await wire.subscribe(topic);
    wire.publish(topic, '.'.repeat(32));
    assert.equal((await wire.next('publish')).payload.length, 32);
    for (const qos of [0, 1]) wire.publish(topic, '.'.repeat(64), { qos, messageId: qos || undefined });
    wire.publish(topic, 'small', { qos: 1, messageId: 2 });
    const after = await wire.next('publish');
    assert.equal(String(after.payload), 'small');
    wire.acknowledge(after);
    await wire.leave();
  });

  test('server keep alive: one above the server\'s is lowered to it, and the client is told', async () => {
    const wire = await raw({ keepalive: 120 });
    assert.equal(wire.connack.properties.serverKeepAlive, 60);
    await wire.leave();
  });

  test('flow control 1: no more messages are in flight than the client\'s Receive Maximum', async () => {
    const topic = unique('flow');
    const wire = await raw({ properties: { receiveMaximum: 2 } });
    await wire.subscribe(topic);
    for (let index = 1; index <= 3; index += 1) wire.publish(topic, `message ${index}`, { qos: 1, messageId: index });
    const taken = [await wire.next('publish'), await wire.next('publish')];
    assert.deepEqual(taken.map(({ payload }) => String(payload)), ['message 1', 'message 2']);
    // All publishes are acknowledged and a ping is answered before the third message comes.
    wire.send({ cmd: 'pingreq' });
    await wire.next('pingresp');
    assert.ok(!wire.packets.items.some(({ cmd }) => cmd === 'publish'));
    wire.acknowledge(taken[0]);
    const third = await wire.next('publish');
    assert.equal(String(third.payload), 'message 3');
    wire.acknowledge(taken[1]).acknowledge(third);
    await wire.leave();
  });

  test('flow control 1: QoS 2 holds its place until PUBCOMP, QoS 0 needs none', async () => {
    const topic = unique('flow');
    const wire = await raw({ properties: { receiveMaximum: 1 } });
    await wire.subscribe(topic);
    const publisher = await enter();
    await publisher.publish(topic, 'first', { qos: 2 });
    await publisher.publish(topic, 'second', { qos: 2 });
    const first = await wire.next('publish');
    wire.send({ cmd: 'pubrec', messageId: first.messageId, reasonCode: 0 });
    await wire.next('pubrel');
    await publisher.publish(topic, 'at once', { qos: 0 });
    assert.equal(String((await wire.next('publish')).payload), 'at once');
    wire.send({ cmd: 'pubcomp', messageId: first.messageId, reasonCode: 0 });
    assert.equal(String((await wire.next('publish')).payload), 'second');
    await Promise.all([wire.leave(), publisher.leave()]);
  });

  test('flow control 2: a client that exceeds the server\'s Receive Maximum is disconnected', async () => {
    const wire = await raw();
    const most = wire.connack.properties.receiveMaximum ?? 65_535;
    // Of QoS 2, whose exchanges stay open: nothing is released.
    const topic = unique('flow');
    for (let index = 1; index <= Math.min(most + 1, 65_535); index += 1) wire.publish(topic, 'x', { qos: 2, messageId: index });
    assert.equal(await wire.end(), 0x93);
  });
});

describe('wills', { concurrency: 4 }, () => {
  for (const [what, delay, expiry, least, most] of [
    ['after its delay', 2, 60, 1_700, 5_000],
    ['when the session ends before that', 60, 0, 0, 2_000],
    ['when the session expires before that', 60, 2, 1_700, 5_000],
  ]) {
    test(`will delay: the will comes ${what}`, async () => {
      const topic = unique('will');
      const watcher = await enter();
      await watcher.subscribe(topic);
      const wire = await raw({
        properties: { sessionExpiryInterval: expiry },
        will: { topic, payload: 'late', qos: 1, retain: false, properties: { willDelayInterval: delay } },
      });
      const left = Date.now();
      wire.drop();
      assert.equal((await watcher.next()).payload, 'late');
      const passed = Date.now() - left;
      assert.ok(passed >= least && passed <= most, `after ${passed} ms`);
      await watcher.leave();
    });
  }

  test('will delay: a client that is back in time leaves none', async () => {
    const topic = unique('will');
    const clientId = unique('returning');
    const watcher = await enter();
    await watcher.subscribe(topic);
    const properties = { sessionExpiryInterval: 60 };
    const wire = await raw({
      clientId, clean: false, properties, will: { topic, payload: 'late', qos: 1, retain: false, properties: { willDelayInterval: 2 } },
    });
    const left = Date.now();
    wire.drop();
    const again = await raw({ clientId, clean: false, properties });
    await eventually(async () => Date.now() - left > 3_000, 'the delay is over');
    again.publish(topic, 'last', { qos: 1, messageId: 1 });
    assert.deepEqual(await watcher.until('last'), []);
    await Promise.all([watcher.leave(), again.leave({ properties: { sessionExpiryInterval: 0 } })]);
  });

  test('DISCONNECT with reason 4 sends the will', async () => {
    const topic = unique('will');
    const watcher = await enter();
    await watcher.subscribe(topic);
    const wire = await raw({ will: { topic, payload: 'as asked', qos: 1, retain: false } });
    await wire.leave({ reasonCode: 4 });
    assert.equal((await watcher.next()).payload, 'as asked');
    await watcher.leave();
  });
});

describe('shared subscriptions', { concurrency: 4 }, () => {
  test('shared subscriptions: each message goes to one of the group, others get all', async () => {
    const topic = unique('shared');
    const [one, two, outsider] = await Promise.all([enter(), enter(), enter()]);
    for (const member of [one, two]) await member.subscribe(`$share/group/${topic}`);
    await outsider.subscribe(topic);
    const count = 40;
    const publisher = await enter();
    for (let index = 0; index < count; index += 1) await publisher.publish(topic, `${index}`, { qos: 1 });
    const all = Array.from({ length: count }, (_, index) => `${index}`);
    for (const each of all) assert.equal((await outsider.next()).payload, each);
    await eventually(() => one.messages.items.length + two.messages.items.length >= count, 'the group has all messages');
    const heard = [...one.messages.items, ...two.messages.items].map(({ payload }) => payload);
    assert.deepEqual(heard.sort((a, b) => a - b), all);
    assert.ok(one.messages.items.length && two.messages.items.length, 'both members get some');
    await Promise.all([one, two, outsider, publisher].map((peer) => peer.leave()));
  });

  test('a member that leaves takes no share with it', async () => {
    const topic = unique('shared');
    const [one, two] = await Promise.all([enter(), enter()]);
    for (const member of [one, two]) await member.subscribe(`$share/group/${topic}`);
    await one.leave();
    const publisher = await enter();
    for (let index = 0; index < 10; index += 1) {
      await publisher.publish(topic, `${index}`, { qos: 1 });
      assert.equal((await two.next()).payload, `${index}`);
    }
    await Promise.all([two.leave(), publisher.leave()]);
  });

  test('a new member gets no retained messages', async () => {
    const topic = unique('shared');
    const peer = await enter();
    await peer.publish(topic, 'retained', { qos: 1, retain: true });
    await peer.subscribe(`$share/group/${topic}`);
    await peer.publish(topic, '', { qos: 1, retain: true });
    await peer.publish(topic, 'last', { qos: 1 });
    assert.deepEqual((await peer.until('last')).filter(Boolean), []);
    await peer.leave();
  });

  test('No Local on one is a protocol error', async () => {
    const wire = await raw();
    wire.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/group/x', qos: 1, nl: true, rap: false, rh: 0 }] });
    assert.equal(await wire.end(), 0x82);
  });
});

describe('the other packets', { concurrency: 4 }, () => {
  test('UNSUBSCRIBE of a filter that is not there is answered with 0x11', async () => {
    const wire = await raw();
    await wire.subscribe('there');
    wire.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['there', 'not/there'] });
    assert.deepEqual((await wire.next('unsuback')).granted, [0, 0x11]);
    await wire.leave();
  });

  test('a publish that nobody hears is acknowledged with 0 or 0x10', async () => {
    const wire = await raw();
    wire.publish(unique('nobody'), 'x', { qos: 1, messageId: 1 });
    assert.ok([0, 0x10].includes((await wire.next('puback')).reasonCode ?? 0));
    await wire.leave();
  });

  test('CONNECT with an authentication method is refused with 0x8C', async () => {
    const wire = await Wire.tcp(server.tcpPort, 5);
    const connack = await wire.connect({ properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: Buffer.from('x') } });
    assert.equal(connack.reasonCode, 0x8c);
    await wire.end();
  });

  test('AUTH without an authentication method in CONNECT is a protocol error', async () => {
    const wire = await raw();
    wire.write([0xf0, 0]);
    assert.equal(await wire.end(), 0x82);
  });

  test('a publish with a wildcard in its topic ends the connection', async () => {
    const wire = await raw();
    wire.write([0x30, 6, 0, 3, ...Buffer.from('a/+'), 0]);
    assert.ok([0x90, 0x81, 0x82].includes(await wire.end()));
  });
});
