// Who may do what: IoT policies, and what a client notices that may not. AWS's profile.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ROOT, start } from '../harness/fanwire.mjs';
import { ARN, allow, deny, enter, enterRaw, startIot } from '../harness/iot.mjs';
import { Wire, addresses, unique } from '../harness/mqtt.mjs';

let server;
before(async () => {
  server = await startIot();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** Whether MQTT 5 lets a client with this policy subscribe to a filter: SUBACK tells. */
async function maySubscribe(filter, ...statements) {
  const wire = await enterRaw(server, 5, statements);
  const [code] = await wire.subscribe({ topic: filter, qos: 1 });
  await wire.leave();
  assert.ok([1, 0x87].includes(code), `${code}`);
  return code === 1;
}

/** Whether MQTT 5 lets a client with this policy publish to a topic: PUBACK tells. */
async function mayPublish(topic, ...statements) {
  const wire = await enterRaw(server, 5, statements);
  wire.publish(topic, 'x', { qos: 1, messageId: 1 });
  const { reasonCode = 0 } = await wire.next('puback');
  await wire.leave();
  assert.ok([0, 0x10, 0x87].includes(reasonCode), `${reasonCode}`);
  return reasonCode !== 0x87;
}

describe('a policy', { concurrency: 6 }, () => {
  for (const [filter, pattern, allowed] of [
    ['a/+/c', 'topicfilter/a/+/c', true],
    ['a/b/c', 'topicfilter/a/+/c', false],
    ['a/+/c', 'topicfilter/a/*', true],
    ['a/#', 'topicfilter/a/*', true],
    ['a/#', 'topicfilter/a/#', true],
    ['a/b', 'topicfilter/a/#', false],
    ['a', 'topicfilter/a/*', false],
    ['a/b/c/d', 'topicfilter/a/*/d', true],
    ['a/b', 'topicfilter/a/?', true],
    ['a/bc', 'topicfilter/a/?', false],
    ['A/b', 'topicfilter/a/b', false],
    ['a/b', 'topic/a/b', false],
    ['$share/group/a/b', 'topicfilter/$share/group/a/*', true],
    ['$share/group/a/b', 'topicfilter/a/*', false],
  ]) {
    test(`with ${pattern} ${allowed ? 'allows' : 'does not allow'} a subscription to ${filter}`, async () => {
      assert.equal(await maySubscribe(filter, allow('Subscribe', pattern)), allowed);
    });
  }

  for (const [topic, pattern, allowed] of [
    ['a/b/c', 'topic/a/+/c', false],
    ['a/b', 'topic/a/#', false],
    ['a/b/c', 'topic/a/*', true],
    ['a/b', 'topicfilter/a/b', false],
  ]) {
    test(`with ${pattern} ${allowed ? 'allows' : 'does not allow'} publishing to ${topic}`, async () => {
      assert.equal(await mayPublish(topic, allow('Publish', pattern)), allowed);
    });
  }

  test('without a statement about it does not allow anything', async () => {
    assert.equal(await mayPublish('a', allow('Subscribe', '*')), false);
    assert.equal(await maySubscribe('a', allow('Publish', '*')), false);
  });

  test('that denies wins over one that allows', async () => {
    assert.equal(await mayPublish('a/secret', allow('Publish', 'topic/a/*'), deny('Publish', 'topic/a/secret')), false);
    assert.equal(await mayPublish('a/open', allow('Publish', 'topic/a/*'), deny('Publish', 'topic/a/secret')), true);
  });

  test('with an empty list of resources matches nothing, as SST\'s for a bad token', async () => {
    assert.equal(await mayPublish('a', { Effect: 'Allow', Action: 'iot:Publish', Resource: [] }), false);
    assert.equal(await maySubscribe('a', { Effect: 'Allow', Action: 'iot:Subscribe', Resource: [] }), false);
  });

  test('of another account or region does not count', async () => {
    const elsewhere = { Effect: 'Allow', Action: 'iot:Publish', Resource: `${ARN.replace('eu-west-1', 'us-east-1')}:topic/a` };
    assert.equal(await mayPublish('a', elsewhere), false);
  });

  test('matches its actions whatever their case, and by wildcards', async () => {
    assert.equal(await mayPublish('a', { Effect: 'Allow', Action: 'IOT:publish', Resource: `${ARN}:topic/a` }), true);
    assert.equal(await mayPublish('a', { Effect: 'Allow', Action: ['iot:Pub*'], Resource: `${ARN}:topic/a` }), true);
  });

  test('may hold the client id', async () => {
    const statement = allow('Publish', 'topic/of/${iot:ClientId}');
    const wire = await enterRaw(server, 5, [statement]);
    for (const [topic, reason] of [[`of/${wire.id}`, 0], ['of/somebody', 0x87]]) {
      wire.publish(topic, 'x', { qos: 1, messageId: 1 });
      assert.equal((await wire.next('puback')).reasonCode ?? 0, reason);
    }
    await wire.leave();
  });

  test('may depend on where the client is', async () => {
    const from = (ip) => ({ ...allow('Publish', '*'), Condition: { IpAddress: { 'aws:SourceIp': ip } } });
    assert.equal(await mayPublish('a', from('127.0.0.0/8')), true);
    assert.equal(await mayPublish('a', from('192.0.2.0/24')), false);
  });

  test('has to allow retaining, too', async () => {
    const topic = unique('retained');
    const retained = { qos: 1, messageId: 1, retain: true };
    const half = await enterRaw(server, 5, [allow('Publish', '*')]);
    half.publish(topic, 'x', retained);
    assert.equal((await half.next('puback')).reasonCode, 0x87);
    await half.leave();
    const whole = await enterRaw(server, 5, [allow(['Publish', 'RetainPublish'], '*')]);
    whole.publish(topic, '', retained);
    assert.equal((await whole.next('puback')).reasonCode ?? 0, 0);
    await whole.leave();
  });
});

describe('what is denied', { concurrency: 6 }, () => {
  for (const version of [4, 5]) {
    test(`a message that may not be received is not delivered, and the connection stays, MQTT ${version}`, async () => {
      const base = unique('receive');
      const reader = await enter(
        server,
        [allow('Subscribe', `topicfilter/${base}/*`), allow('Receive', `topic/${base}/open*`), deny('Receive', '*/hidden')],
        { protocolVersion: version },
      );
      const writer = await enter(server);
      await reader.subscribe(`${base}/#`, { qos: 1 });
      await writer.publish(`${base}/closed`, 'no', { qos: 1 });
      await writer.publish(`${base}/open/hidden`, 'no', { qos: 1 });
      await writer.publish(`${base}/open`, 'yes', { qos: 1 });
      assert.equal((await reader.next()).payload, 'yes');
      assert.equal(reader.messages.items.length, 0);
      await Promise.all([reader.leave(), writer.leave()]);
    });

    test(`a denied publish of QoS 0 closes the connection, and nobody hears it, MQTT ${version}`, async () => {
      const topic = unique('denied');
      const listener = await enter(server);
      await listener.subscribe(topic, { qos: 1 });
      const wire = await enterRaw(server, version, [allow('Publish', 'topic/other')]);
      wire.publish(topic, 'denied');
      assert.equal(await wire.end(), version === 5 ? 0x87 : undefined);
      await listener.publish(topic, 'last', { qos: 1 });
      assert.deepEqual(await listener.until('last'), []);
      await listener.leave();
    });
  }

  test('a denied publish of QoS 1 closes the connection without PUBACK, MQTT 4', async () => {
    const wire = await enterRaw(server, 4, [allow('Publish', 'topic/other')]);
    wire.publish('denied', 'x', { qos: 1, messageId: 1 });
    await wire.end();
    assert.ok(!wire.packets.items.some(({ cmd }) => cmd === 'puback'));
  });

  test('a denied subscription closes the connection, MQTT 4', async () => {
    const wire = await enterRaw(server, 4, [allow('Subscribe', 'topicfilter/other')]);
    wire.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'denied', qos: 1 }] });
    await wire.end();
  });

  test('a denied subscription beside an allowed one leaves that alone, MQTT 5', async () => {
    const wire = await enterRaw(server, 5, [allow(['Subscribe', 'Receive', 'Publish'], 'topicfilter/open', 'topic/open')]);
    assert.deepEqual(await wire.subscribe([{ topic: 'denied', qos: 1 }, { topic: 'open', qos: 1 }]), [0x87, 1]);
    wire.publish('open', 'heard');
    assert.equal(String((await wire.next('publish')).payload), 'heard');
    await wire.leave();
  });

  test('it is explained: the action, the resource and what would have allowed it', async () => {
    const wire = await enterRaw(server, 5, [allow('Publish', 'topic/other')]);
    const topic = unique('explained');
    wire.publish(topic, 'x', { qos: 1, messageId: 1 });
    assert.equal((await wire.next('puback')).reasonCode, 0x87);
    const told = await server.events.find(
      (event) => JSON.stringify(event).includes(`topic/${topic}`), 'the explanation of a denial',
    );
    const text = JSON.stringify(told);
    assert.match(text, /iot:Publish/);
    assert.ok(text.includes(wire.id), text);
    await wire.leave();
  });

  for (const [what, topic] of [['an event of AWS', '$aws/events/presence/connected/me'], ['a $ topic that means nothing', '$odd/topic']]) {
    test(`publishing ${what} closes the connection`, async () => {
      const wire = await enterRaw(server, 5);
      wire.publish(topic, 'x');
      await wire.end();
    });
  }
});

describe('denials that are concealed', () => {
  let concealing;
  before(async () => {
    concealing = await start(`${ROOT}/tests/paho/app`);
  });
  after(() => concealing.stop());

  for (const version of [4, 5]) {
    test(`are an unspecified failure, MQTT ${version}`, async () => {
      const wire = await Wire.tcp(addresses(concealing.port).tcpPort, version);
      await wire.connect();
      assert.deepEqual(await wire.subscribe(['test/nosubscribe', 'test/other']), [0x80, 2]);
      await wire.leave();
    });
  }
});
