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
    const identifiers = async (of, wanted) => {
      const found = [];
      while (found.length < wanted) found.push((await of.next('publish')).properties.subscriptionIdentifier);
      return found.flat().sort((a, b) => a - b);
    };
    assert.deepEqual(await identifiers(other, 1), [456_789]);
    // One message with both, or one for each filter: the standard has both (4.8.1 and 3.3.4).
    const first = [(await wire.next('publish')).properties.subscriptionIdentifier].flat();
    const both = first.length === 2 ? first : [...first, ...await identifiers(wire, 1)];
    assert.deepEqual(both.sort(), [2, 3]);
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
