// Where AWS IoT differs from the standard: topics, retained messages, QoS 2, limits, lifecycle events.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { enter, enterRaw, startIot } from '../harness/iot.mjs';
import { Wire, unique } from '../harness/mqtt.mjs';

let server;
before(async () => {
  server = await startIot();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

describe('topics and retained messages', { concurrency: 4 }, () => {
  for (const protocolVersion of [4, 5]) {
    test(`\`sport/#\` does not match \`sport\`, MQTT ${protocolVersion}`, async () => {
      const base = unique('sport');
      const peer = await enter(server, [], { protocolVersion });
      await peer.subscribe(`${base}/#`, { qos: 1 });
      await peer.publish(base, 'parent', { qos: 1 });
      await peer.publish(`${base}/child`, 'child', { qos: 1 });
      assert.equal((await peer.next()).payload, 'child');
      await peer.leave();
    });

    test(`a filter with wildcards gets no retained message, an exact one does, with RETAIN, MQTT ${protocolVersion}`, async () => {
      const base = unique('retained');
      const writer = await enter(server, [], { protocolVersion });
      await writer.publish(`${base}/x`, 'kept', { qos: 1, retain: true });
      const reader = await enter(server, [], { protocolVersion });
      for (const filter of [`${base}/+`, `${base}/#`]) await reader.subscribe(filter, { qos: 1 });
      await reader.publish(`${base}/last`, 'last', { qos: 1 });
      assert.deepEqual(await reader.until('last'), []);
      await reader.client.unsubscribeAsync([`${base}/+`, `${base}/#`]);
      await reader.subscribe(`${base}/x`, { qos: 1 });
      const { payload, retain } = await reader.next();
      assert.deepEqual({ payload, retain }, { payload: 'kept', retain: true });
      await writer.publish(`${base}/x`, '', { qos: 1, retain: true });
      // The message that clears it is delivered as any other.
      assert.deepEqual((({ payload: empty, retain: flag }) => [empty, flag])(await reader.next()), ['', false]);
      await Promise.all([reader.leave(), writer.leave()]);
    });
  }

  test('a topic has eight levels at most', async () => {
    const peer = await enter(server);
    await peer.publish('1/2/3/4/5/6/7/8', 'x', { qos: 1 });
    await peer.leave();
    const wire = await enterRaw(server, 5);
    wire.publish('1/2/3/4/5/6/7/8/9', 'x', { qos: 1, messageId: 1 });
    assert.equal(await wire.end(), 0x90);
  });

  test('a topic has 256 bytes at most', async () => {
    const wire = await enterRaw(server, 5);
    wire.publish('x'.repeat(257), 'x', { qos: 1, messageId: 1 });
    assert.equal(await wire.end(), 0x90);
  });

  test('a filter with too many levels is refused in SUBACK', async () => {
    const wire = await enterRaw(server, 5);
    assert.deepEqual(await wire.subscribe({ topic: '1/2/3/4/5/6/7/8/9', qos: 1 }), [0x8f]);
    assert.deepEqual(await wire.subscribe({ topic: '$share/group/1/2/3/4/5/6/7/8', qos: 1 }, { messageId: 2 }), [1]);
    await wire.leave();
  });

  test('a session of 3.1.1 is not resumed with 5', async () => {
    const clientId = unique('versions');
    const older = await enter(server, [], { protocolVersion: 4, clean: false, clientId });
    await older.leave();
    const newer = await enterRaw(server, 5, [], { clean: false, clientId });
    assert.equal(newer.connack.sessionPresent, false);
    await newer.leave();
  });
});

describe('what CONNACK says, and what it means', { concurrency: 4 }, () => {
  test('its properties are IoT Core\'s', async () => {
    const wire = await enterRaw(server, 5, [], { clientId: '', keepalive: 5 });
    const { assignedClientIdentifier, ...properties } = wire.connack.properties;
    assert.ok(assignedClientIdentifier);
    // What is available need not be said (MQTT 5, 3.2.2.3.5 and 3.2.2.3.11 to 13).
    const available = { retainAvailable: true, wildcardSubscriptionAvailable: true, sharedSubscriptionAvailable: true };
    assert.deepEqual({ ...available, ...properties }, {
      ...available,
      receiveMaximum: 100,
      maximumQoS: 1,
      maximumPacketSize: 149_504,
      topicAliasMaximum: 8,
      subscriptionIdentifiersAvailable: false,
      serverKeepAlive: 30,
    });
    await wire.leave();
  });

  for (const [asked, given] of [[0, 1_200], [5, 30], [60, undefined], [2_000, 1_200]]) {
    test(`a keep-alive of ${asked} s is ${given ?? 'left alone'}`, async () => {
      const wire = await enterRaw(server, 5, [], { keepalive: asked });
      assert.ok([given, given ?? asked].includes(wire.connack.properties.serverKeepAlive));
      await wire.leave();
    });
  }

  test('a session expiry beyond the longest is lowered to it', async () => {
    const wire = await enterRaw(server, 5, [], { properties: { sessionExpiryInterval: 0xffff_ffff } });
    assert.equal(wire.connack.properties.sessionExpiryInterval, 7 * 24 * 3_600);
    await wire.leave({ properties: { sessionExpiryInterval: 0 } });
  });

  test('QoS 2 ends a connection of MQTT 5 with 0x9B', async () => {
    const wire = await enterRaw(server, 5);
    wire.publish('a', 'x', { qos: 2, messageId: 1 });
    assert.equal(await wire.end(), 0x9b);
  });

  test('QoS 2 is not answered in 3.1.1', async () => {
    const wire = await enterRaw(server, 4);
    wire.publish('a', 'x', { qos: 2, messageId: 1 });
    wire.send({ cmd: 'subscribe', messageId: 2, subscriptions: [{ topic: 'a', qos: 2 }] });
    wire.send({ cmd: 'pingreq' });
    await wire.next('pingresp');
    assert.deepEqual(wire.packets.items, []);
    await wire.leave();
  });

  test('a subscription identifier ends the connection with 0xA1', async () => {
    const wire = await enterRaw(server, 5);
    wire.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1, nl: false, rap: false, rh: 0 }], properties: { subscriptionIdentifier: 1 } });
    assert.equal(await wire.end(), 0xa1);
  });

  test('a client that takes packets of less than 512 bytes only is refused', async () => {
    await assert.rejects(enterRaw(server, 5, [], { properties: { maximumPacketSize: 511 } }), ({ code }) => code >= 0x80);
  });

  test('MQTT 3.1 is refused with 1', async () => {
    const wire = await Wire.tcp(server.tcpPort, 3);
    assert.equal((await wire.connect({ username: '?x-amz-customauthorizer-name=told', password: Buffer.from('{}') })).returnCode, 1);
    await wire.end();
  });

  test('a client id beyond 128 bytes is refused with 0x85', async () => {
    await assert.rejects(enterRaw(server, 5, [], { clientId: 'x'.repeat(129) }), { code: 0x85 });
  });

  test('more than eight filters in a SUBSCRIBE end the connection', async () => {
    const wire = await enterRaw(server, 5);
    const subscriptions = Array.from({ length: 9 }, (_, index) => ({ topic: `a/${index}`, qos: 1, nl: false, rap: false, rh: 0 }));
    wire.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    await wire.end();
  });

  test('the 51st subscription of a connection is refused with 0x97, and the others stay', async () => {
    const wire = await enterRaw(server, 5);
    const codes = [];
    for (let index = 0; index < 51; index += 1) {
      codes.push(...await wire.subscribe({ topic: `many/${index}`, qos: 1 }, { messageId: index + 1 }));
    }
    assert.deepEqual(codes, [...Array(50).fill(1), 0x97]);
    await wire.leave();
  });

  test('a payload of more than 128 KB ends the connection', async () => {
    const wire = await enterRaw(server, 5);
    wire.publish('a', Buffer.alloc(128 * 1024 + 1), { qos: 1, messageId: 1 });
    await wire.end();
    const peer = await enter(server);
    await peer.publish('a', Buffer.alloc(128 * 1024), { qos: 1 });
    await peer.leave();
  });
});

describe('lifecycle events', { concurrency: 4 }, () => {
  /** A client that hears the events of the client `id`. */
  async function watcher(id) {
    const peer = await enter(server);
    await peer.subscribe([`$aws/events/presence/+/${id}`, `$aws/events/subscriptions/+/${id}`], { qos: 1 });
    return Object.assign(peer, { event: async () => JSON.parse((await peer.next('a lifecycle event')).payload) });
  }

  for (const version of [4, 5]) {
    test(`tell of a connection, its subscriptions and its end, MQTT ${version}`, async () => {
      const clientId = unique('watched');
      const peer = await watcher(clientId);
      const began = Date.now();
      const wire = await enterRaw(server, version, [], { clientId });
      const { timestamp, sessionIdentifier, ...connected } = await peer.event();
      assert.ok(timestamp >= began - 1 && timestamp <= Date.now() + 1);
      assert.match(sessionIdentifier, /^[0-9a-f]{32}$/);
      assert.deepEqual(connected, { clientId, eventType: 'connected', principalIdentifier: 'tester', ipAddress: '127.0.0.1', versionNumber: 0 });

      await wire.subscribe([{ topic: 'foo/bar', qos: 1 }, { topic: 'device/data', qos: 0 }]);
      const subscribed = await peer.event();
      assert.deepEqual(
        { ...subscribed, timestamp: 0, sessionIdentifier: '' },
        { clientId, timestamp: 0, eventType: 'subscribed', sessionIdentifier: '', principalIdentifier: 'tester', topics: ['foo/bar', 'device/data'] },
      );
      wire.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['foo/bar'] });
      await wire.next('unsuback');
      const unsubscribed = await peer.event();
      assert.deepEqual([unsubscribed.eventType, unsubscribed.topics], ['unsubscribed', ['foo/bar']]);

      await wire.leave();
      const disconnected = await peer.event();
      assert.deepEqual(
        { ...disconnected, timestamp: 0 },
        {
          clientId,
          timestamp: 0,
          eventType: 'disconnected',
          sessionIdentifier,
          principalIdentifier: 'tester',
          clientInitiatedDisconnect: true,
          disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
          versionNumber: 0,
        },
      );
      await peer.leave();
    });
  }

  for (const [reason, what, end] of [
    ['CONNECTION_LOST', 'only goes', (wire) => wire.drop()],
    ['CLIENT_ERROR', 'sends what is no packet', (wire) => wire.write([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['CLIENT_ERROR', 'publishes to a topic of AWS\'s', (wire) => wire.publish('$aws/events/presence/connected/me', 'x')],
    // AWS's documents do not tell this and AUTH_ERROR apart; users report both.
    ['FORBIDDEN_ACCESS', 'publishes what it may not', (wire) => wire.publish('denied', 'x')],
  ]) {
    test(`say ${reason}, with the will, where a client ${what}`, async () => {
      const clientId = unique('watched');
      const peer = await watcher(clientId);
      await peer.subscribe(`wills/${clientId}`, { qos: 1 });
      const statements = [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }, { Effect: 'Deny', Action: 'iot:Publish', Resource: '*:topic/denied' }];
      const wire = await enterRaw(server, 5, statements, {
        clientId, will: { topic: `wills/${clientId}`, payload: 'gone', qos: 1, retain: false },
      });
      await peer.event();
      end(wire);
      const messages = [await peer.next('an event or the will'), await peer.next('an event or the will')];
      const will = messages.find(({ topic }) => topic.startsWith('wills/'));
      assert.equal(will.payload, 'gone');
      const event = JSON.parse(messages.find((each) => each !== will).payload);
      assert.deepEqual([event.disconnectReason, event.clientInitiatedDisconnect], [reason, false]);
      await peer.leave();
    });
  }

  test('count a client\'s connections, and tell of a takeover', async () => {
    const clientId = unique('watched');
    const peer = await watcher(clientId);
    const elder = await enterRaw(server, 5, [], { clientId });
    assert.equal((await peer.event()).versionNumber, 0);
    const younger = await enterRaw(server, 5, [], { clientId });
    assert.equal(await elder.end(), 0x8e);
    const events = [await peer.event(), await peer.event()].sort((a, b) => a.versionNumber - b.versionNumber);
    assert.deepEqual(
      events.map(({ eventType, versionNumber, disconnectReason, clientInitiatedDisconnect }) => [eventType, versionNumber, disconnectReason, clientInitiatedDisconnect]),
      [['disconnected', 0, 'DUPLICATE_CLIENTID', false], ['connected', 1, undefined, undefined]],
    );
    await younger.leave();
    await peer.leave();
  });

  test('tell of a client that was refused', async () => {
    const clientId = unique('refused');
    const peer = await watcher(clientId);
    await assert.rejects(enterRaw(server, 5, [{ Effect: 'Deny', Action: 'iot:Connect', Resource: '*' }], { clientId }), { code: 0x87 });
    const event = await peer.event();
    assert.deepEqual([event.clientId, event.eventType, event.connectFailureReason], [clientId, 'connect_failed', 'AUTHORIZATION_FAILED']);
    await peer.leave();
  });
});
