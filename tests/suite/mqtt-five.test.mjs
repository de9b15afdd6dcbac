// What MQTT 5 has and 3.1.1 has not. A test whose name begins with that of a case of client_test5 of Eclipse's
// paho.mqtt.testing asks for the same.

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

/** The pairs of user properties, of which mqtt-packet makes one object. */
const pairs = (packet) => Object.entries(packet.properties?.userProperties ?? {})
  .flatMap(([name, value]) => [value].flat().map((each) => `${name}=${each}`)).sort();

describe('session expiry', { concurrency: 4 }, () => {
  const present = async (clientId, sessionExpiryInterval, leave) => {
    const wire = await raw({ clientId, clean: false, properties: { sessionExpiryInterval } });
    await wire.leave(leave);
    return wire.connack.sessionPresent;
  };

  test('session expiry: with 0 the session ends with the connection', async () => {
    const clientId = unique('expiry');
    assert.equal(await present(clientId, 0), false);
    assert.equal(await present(clientId, 0), false);
  });

  test('session expiry: the session is there until its time is over, and then it is not', async () => {
    const clientId = unique('expiry');
    assert.equal(await present(clientId, 2), false);
    assert.equal(await present(clientId, 2), true);
    const left = Date.now();
    await eventually(async () => {
      // Only a look: what comes after the expiry starts anew and must not linger either.
      if (Date.now() - left < 3_500) return false;
      assert.equal(await present(clientId, 0), false);
      return true;
    }, 'the time is over');
  });

  test('session expiry: DISCONNECT can change it', async () => {
    const clientId = unique('expiry');
    assert.equal(await present(clientId, 1, { properties: { sessionExpiryInterval: 600 } }), false);
    const left = Date.now();
    await eventually(async () => Date.now() - left > 2_500, 'the time of CONNECT is over');
    assert.equal(await present(clientId, 600, { properties: { sessionExpiryInterval: 0 } }), true);
    assert.equal(await present(clientId, 0), false);
  });

  test('session expiry: DISCONNECT cannot begin one where CONNECT had none', async () => {
    const wire = await raw({ properties: { sessionExpiryInterval: 0 } });
    wire.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } });
    assert.ok([0x82, undefined].includes(await wire.end()));
  });
});

describe('properties of messages', { concurrency: 4 }, () => {
  /** Publishes with each QoS and resolves with what a subscriber got. */
  async function carried(properties) {
    const topic = unique('properties');
    const peer = await enter();
    await peer.subscribe(topic);
    const messages = [];
    for (const qos of [0, 1, 2]) {
      await peer.publish(topic, '', { qos, properties });
      messages.push(await peer.next());
    }
    await peer.leave();
    assert.deepEqual(messages.map(({ qos }) => qos), [0, 1, 2]);
    return messages;
  }

  test('user properties: all reach the subscriber, with any QoS', async () => {
    for (const message of await carried({ userProperties: { a: '2', c: '3' } })) {
      assert.deepEqual(pairs(message), ['a=2', 'c=3']);
    }
  });

  test('user properties: the same name twice stays twice, in order', async () => {
    for (const message of await carried({ userProperties: { a: ['2', '1'], b: 'x' } })) {
      assert.deepEqual(message.properties.userProperties.a, ['2', '1']);
      assert.equal(message.properties.userProperties.b, 'x');
    }
  });

  test('payload format: it reaches the subscriber, and so does the content type', async () => {
    for (const { properties } of await carried({ payloadFormatIndicator: true, contentType: 'My name' })) {
      assert.equal(Number(properties.payloadFormatIndicator), 1);
      assert.equal(properties.contentType, 'My name');
    }
  });

  test('retained message: its properties are retained with it', async () => {
    const topic = unique('retained');
    const publisher = await enter();
    const properties = { userProperties: { a: '2', c: '3' }, contentType: 'text/plain', correlationData: Buffer.from('334') };
    await publisher.publish(topic, 'kept', { qos: 1, retain: true, properties });
    const late = await enter();
    await late.subscribe(topic);
    const message = await late.next();
    assert.equal(message.retain, true);
    assert.deepEqual(pairs(message), ['a=2', 'c=3']);
    assert.equal(message.properties.contentType, 'text/plain');
    assert.equal(String(message.properties.correlationData), '334');
    await publisher.publish(topic, '', { qos: 1, retain: true });
    await Promise.all([publisher.leave(), late.leave()]);
  });

  test('will message: its properties come with it', async () => {
    const topic = unique('will');
    const watcher = await enter();
    await watcher.subscribe(topic);
    const wire = await raw({
      will: { topic, payload: 'will message', qos: 1, retain: false, properties: { willDelayInterval: 0, contentType: 'text/plain', userProperties: { a: '2', c: '3' } } },
    });
    wire.drop();
    const message = await watcher.next();
    assert.equal(message.payload, 'will message');
    assert.deepEqual(pairs(message), ['a=2', 'c=3']);
    assert.equal(message.properties.contentType, 'text/plain');
    await watcher.leave();
  });

  test('publication expiry: what is too old is not delivered, the rest says what is left of its time', async () => {
    const topic = unique('stale');
    const clientId = unique('sleeper');
    const sleeper = await raw({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } });
    await sleeper.subscribe(topic);
    await sleeper.leave();
    const publisher = await enter();
    for (const qos of [1, 2]) {
      await publisher.publish(topic, 'stale', { qos, properties: { messageExpiryInterval: 1 } });
      await publisher.publish(topic, 'fresh', { qos, properties: { messageExpiryInterval: 60 } });
    }
    const sent = Date.now();
    await eventually(async () => Date.now() - sent > 2_200, 'the first messages are too old');
    const back = await raw({ clientId, clean: false, properties: { sessionExpiryInterval: 0 } });
    for (const qos of [1, 2]) {
      const message = await back.next('publish');
      assert.deepEqual([String(message.payload), message.qos], ['fresh', qos]);
      const left = message.properties.messageExpiryInterval;
      assert.ok(left >= 30 && left <= 58, `${left} s are left`);
    }
    await Promise.all([back.leave(), publisher.leave()]);
  });

  test('publication expiry: a retained message goes when its time is over', async () => {
    const topic = unique('stale');
    const publisher = await enter();
    await publisher.publish(topic, 'stale', { qos: 1, retain: true, properties: { messageExpiryInterval: 1 } });
    const sent = Date.now();
    await eventually(async () => Date.now() - sent > 2_200, 'the message is too old');
    await publisher.subscribe(topic);
    await publisher.publish(topic, 'last', { qos: 1 });
    assert.deepEqual(await publisher.until('last'), []);
    await publisher.leave();
  });

  test('request and response: the response topic and the correlation data come with the request', async () => {
    const topic = unique('request');
    const answers = unique('answers');
    const [requester, responder] = await Promise.all([enter(), enter()]);
    await requester.subscribe(answers);
    await responder.subscribe(topic);
    await requester.publish(topic, 'request', { qos: 1, properties: { responseTopic: answers, correlationData: Buffer.from('334') } });
    const { properties } = await responder.next();
    assert.equal(properties.responseTopic, answers);
    assert.equal(String(properties.correlationData), '334');
    await responder.publish(properties.responseTopic, 'response', { qos: 1, properties: { correlationData: properties.correlationData } });
    const answer = await requester.next();
    assert.equal(answer.payload, 'response');
    assert.equal(String(answer.properties.correlationData), '334');
    await Promise.all([requester.leave(), responder.leave()]);
  });

  test('a client of 3.1.1 gets the message without them', async () => {
    const topic = unique('older');
    const older = await enter({ protocolVersion: 4 });
    await older.subscribe(topic);
    const newer = await enter();
    await newer.publish(topic, 'plain', { qos: 1, properties: { userProperties: { a: '1' }, contentType: 'x' } });
    const message = await older.next();
    assert.equal(message.payload, 'plain');
    assert.equal(message.properties, undefined);
    await Promise.all([older.leave(), newer.leave()]);
  });
});

describe('subscribe options', { concurrency: 4 }, () => {
  test('subscribe options: No Local keeps a client\'s own messages away, and only those', async () => {
    const topic = unique('local');
    const [one, two] = await Promise.all([enter(), enter()]);
    await one.subscribe(topic, { qos: 2, nl: true });
    await two.subscribe(topic, { qos: 2, nl: true });
    await one.publish(topic, 'from one', { qos: 1 });
    assert.equal((await two.next()).payload, 'from one');
    await two.publish(topic, 'from two', { qos: 1 });
    assert.equal((await one.next()).payload, 'from two');
    await Promise.all([one.leave(), two.leave()]);
  });

  test('subscribe options: Retain As Published keeps the flag of the publisher', async () => {
    const topic = unique('rap');
    const peer = await enter();
    await peer.subscribe(topic, { qos: 2, rap: true });
    await peer.publish(topic, 'false', { qos: 1 });
    await peer.publish(topic, 'true', { qos: 1, retain: true });
    for (const retain of [false, true]) {
      const message = await peer.next();
      assert.deepEqual([message.payload, message.retain], [`${retain}`, retain]);
    }
    await peer.publish(topic, '', { qos: 1, retain: true });
    await peer.leave();
  });

  test('subscribe options: Retain Handling says when retained messages come', async () => {
    const base = unique('handling');
    const publisher = await enter();
    for (const qos of [0, 1, 2]) await publisher.publish(`${base}/${qos}`, `qos ${qos}`, { qos, retain: true });
    /** What comes for one more SUBSCRIBE. */
    async function come(peer, rh) {
      await peer.subscribe(`${base}/+`, { qos: 2, rh });
      await peer.publish(`${base}/last`, 'last', { qos: 2 });
      return (await peer.until('last')).sort();
    }
    const all = ['qos 0', 'qos 1', 'qos 2'];
    const [always, once, never] = await Promise.all([enter(), enter(), enter()]);
    assert.deepEqual([await come(always, 0), await come(always, 0)], [all, all]);
    await always.leave();
    assert.deepEqual([await come(once, 1), await come(once, 1)], [all, []]);
    await once.leave();
    assert.deepEqual([await come(never, 2), await come(never, 2)], [[], []]);
    for (const qos of [0, 1, 2]) await publisher.publish(`${base}/${qos}`, '', { qos: 1, retain: true });
    await Promise.all([never.leave(), publisher.leave()]);
  });

  test('subscribe identifiers: each message has those of all filters that match it', async () => {
    const topic = unique('identifiers');
    const other = await raw();
    await other.subscribe(topic, { properties: { subscriptionIdentifier: 456_789 } });
    const wire = await raw();
    await wire.subscribe(topic, { messageId: 1, properties: { subscriptionIdentifier: 2 } });
    await wire.subscribe(`${topic}/#`, { messageId: 2, properties: { subscriptionIdentifier: 3 } });
    wire.publish(topic, 'sub identifier test', { qos: 1, messageId: 9 });
    assert.deepEqual([(await other.next('publish')).properties.subscriptionIdentifier].flat(), [456_789]);
    assert.deepEqual((await wire.next('publish')).properties.subscriptionIdentifier.sort(), [2, 3]);
    await Promise.all([other.leave(), wire.leave()]);
  });

  test('assigned client id: a client without an id is told the one it has got', async () => {
    const wire = await raw({ clientId: '' });
    const assigned = wire.connack.properties.assignedClientIdentifier;
    assert.ok(assigned);
    const another = await raw({ clientId: '' });
    assert.notEqual(another.connack.properties.assignedClientIdentifier, assigned);
    await Promise.all([wire.leave(), another.leave()]);
  });
});
