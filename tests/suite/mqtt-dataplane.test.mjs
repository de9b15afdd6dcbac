// The IoT Data Plane: publishing and looking at retained messages over HTTP, with AWS's SDK for JavaScript.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  DeleteConnectionCommand, GetRetainedMessageCommand, IoTDataPlaneClient, ListRetainedMessagesCommand, PublishCommand,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';

import { allow, enter, enterRaw, startIot } from '../harness/iot.mjs';
import { unique } from '../harness/mqtt.mjs';

let server;
let client;
before(async () => {
  server = await startIot();
  client = new IoTDataPlaneClient({
    endpoint: `http://${server.host}`, region: 'eu-west-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
});
after(async () => {
  client.destroy();
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

const publish = (input) => client.send(new PublishCommand(input));
const base64 = (value) => Buffer.from(value).toString('base64');

/** A client that hears `topic`. */
async function listener(topic, options) {
  const peer = await enter(server, [], options);
  await peer.subscribe(topic, { qos: 1 });
  return peer;
}

describe('Publish', { concurrency: 6 }, () => {
  for (const [what, topic] of [
    ['a topic of several levels', 'a/b c/ü'], ['a topic that begins with a slash', '/a'], ['a topic with a plus in its text', 'a b'],
  ]) {
    test(`reaches subscribers of ${what}`, async () => {
      const full = `${topic}/${unique('publish')}`;
      const peer = await listener(full);
      const { $metadata } = await publish({ topic: full, payload: Buffer.from('hello') });
      assert.equal($metadata.httpStatusCode, 200);
      const message = await peer.next();
      assert.deepEqual([message.topic, message.payload, message.qos, message.retain], [full, 'hello', 0, false]);
      await peer.leave();
    });
  }

  test('takes slashes that are not encoded, as people type them', async () => {
    const topic = `plain/${unique('publish')}`;
    const peer = await listener(topic);
    const answer = await fetch(`http://${server.host}/topics/${topic}?qos=1`, { method: 'POST', body: 'by hand' });
    assert.equal(answer.status, 200);
    const { message, traceId } = await answer.json();
    assert.equal(message, 'OK');
    assert.match(traceId, /^[0-9a-f-]{36}$/);
    assert.deepEqual((({ payload, qos }) => [payload, qos])(await peer.next()), ['by hand', 1]);
    await peer.leave();
  });

  test('carries any bytes, and none', async () => {
    const topic = unique('publish');
    const wire = await enterRaw(server, 5);
    await wire.subscribe({ topic, qos: 0 });
    const bytes = Buffer.from([0, 255, 128, 10, 13]);
    await publish({ topic, payload: bytes });
    assert.deepEqual((await wire.next('publish')).payload, bytes);
    await publish({ topic });
    assert.equal((await wire.next('publish')).payload.length, 0);
    await wire.leave();
  });

  test('has all that MQTT 5 knows of a message', async () => {
    const topic = unique('publish');
    const peer = await listener(topic);
    await publish({
      topic,
      qos: 1,
      payload: Buffer.from('{}'),
      contentType: 'application/json',
      responseTopic: 'answers/here',
      correlationData: base64('334'),
      payloadFormatIndicator: 'UTF8_DATA',
      messageExpiry: 600,
      userProperties: JSON.stringify([{ a: '1' }, { b: '2' }, { a: '3' }]),
    });
    const { qos, properties } = await peer.next();
    assert.equal(qos, 1);
    assert.equal(properties.contentType, 'application/json');
    assert.equal(properties.responseTopic, 'answers/here');
    assert.equal(String(properties.correlationData), '334');
    assert.equal(Number(properties.payloadFormatIndicator), 1);
    assert.ok(properties.messageExpiryInterval > 590 && properties.messageExpiryInterval <= 600);
    assert.deepEqual({ ...properties.userProperties }, { a: ['1', '3'], b: '2' });
    await peer.leave();
  });

  test('takes user properties as boto3 sends them, a JSON text in JSON', async () => {
    const topic = unique('publish');
    const peer = await listener(topic);
    const answer = await fetch(`http://${server.host}/topics/${topic}`, {
      method: 'POST', headers: { 'x-amz-mqtt5-user-properties': base64(JSON.stringify(JSON.stringify([{ a: '1' }]))) },
    });
    assert.equal(answer.status, 200);
    assert.deepEqual({ ...(await peer.next()).properties.userProperties }, { a: '1' });
    await peer.leave();
  });

  for (const [what, input] of [
    ['a wildcard in the topic', { topic: 'a/+' }],
    ['nine levels', { topic: '1/2/3/4/5/6/7/8/9' }],
    ['a topic of AWS\'s', { topic: '$aws/events/presence/connected/me' }],
    ['user properties that are none', { topic: 'a', userProperties: '{"a":' }],
  ]) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(publish({ ...input, payload: Buffer.from('x') }), ({ $metadata }) => [400, 403].includes($metadata.httpStatusCode));
    });
  }

  test('refuses a QoS that there is not', async () => {
    const answer = await fetch(`http://${server.host}/topics/a?qos=3`, { method: 'POST' });
    assert.equal(answer.status, 400);
    assert.match(answer.headers.get('x-amzn-errortype'), /InvalidRequestException/);
  });

  test('refuses a payload of more than 128 KB', async () => {
    await assert.rejects(publish({ topic: 'a', payload: Buffer.alloc(128 * 1024 + 1) }), ({ $metadata }) => [400, 413].includes($metadata.httpStatusCode));
  });
});

describe('retained messages', { concurrency: 4 }, () => {
  test('are what Publish has retained, for MQTT and for GetRetainedMessage', async () => {
    const topic = `kept/${unique('retained')}`;
    const began = Date.now();
    await publish({ topic, qos: 1, retain: true, payload: Buffer.from('kept'), userProperties: JSON.stringify([{ a: '1' }]) });
    const found = await client.send(new GetRetainedMessageCommand({ topic }));
    assert.deepEqual([found.topic, Buffer.from(found.payload).toString(), found.qos], [topic, 'kept', 1]);
    assert.ok(found.lastModifiedTime >= began - 1_000 && found.lastModifiedTime <= Date.now() + 1_000);
    assert.deepEqual(JSON.parse(Buffer.from(found.userProperties)), [{ a: '1' }]);
    const peer = await listener(topic);
    const message = await peer.next();
    assert.deepEqual([message.payload, message.retain], ['kept', true]);
    await peer.leave();

    await publish({ topic, retain: true });
    await assert.rejects(client.send(new GetRetainedMessageCommand({ topic })), { name: 'ResourceNotFoundException' });
  });

  test('are listed in pages', async () => {
    const topics = Array.from({ length: 5 }, (_, index) => `list/${unique('retained')}/${index}`);
    for (const topic of topics) await publish({ topic, retain: true, payload: Buffer.from('12345') });
    const listed = [];
    let nextToken;
    do {
      const page = await client.send(new ListRetainedMessagesCommand({ maxResults: 2, nextToken }));
      assert.ok(page.retainedTopics.length <= 2);
      listed.push(...page.retainedTopics);
      nextToken = page.nextToken;
    } while (nextToken);
    for (const topic of topics) {
      const { payloadSize, qos, lastModifiedTime } = listed.find((each) => each.topic === topic);
      assert.deepEqual([payloadSize, qos], [5, 0]);
      assert.ok(lastModifiedTime > 0);
      await publish({ topic, retain: true });
    }
    assert.equal(new Set(listed.map(({ topic }) => topic)).size, listed.length);
  });
});

describe('DeleteConnection', { concurrency: 4 }, () => {
  test('ends a connection with 0x98, and its will is sent', async () => {
    const topic = unique('wills');
    const watcher = await listener(topic);
    const will = { topic, payload: 'deleted', qos: 1, retain: false };
    const wire = await enterRaw(server, 5, [], { will });
    await client.send(new DeleteConnectionCommand({ clientId: wire.id }));
    assert.equal(await wire.end(), 0x98);
    assert.equal((await watcher.next()).payload, 'deleted');

    const silenced = await enterRaw(server, 5, [], { will: { ...will, payload: 'prevented' } });
    await client.send(new DeleteConnectionCommand({ clientId: silenced.id, preventWillMessage: true }));
    await silenced.end();
    await publish({ topic, payload: Buffer.from('last') });
    assert.deepEqual(await watcher.until('last'), []);
    await watcher.leave();
  });

  test('keeps the session, unless it is to be cleaned', async () => {
    const session = { clean: false, properties: { sessionExpiryInterval: 600 } };
    for (const [cleanSession, present] of [[false, true], [true, false]]) {
      const wire = await enterRaw(server, 5, [], session);
      await client.send(new DeleteConnectionCommand({ clientId: wire.id, cleanSession }));
      await wire.end();
      const again = await enterRaw(server, 5, [], { ...session, clientId: wire.id });
      assert.equal(again.connack.sessionPresent, present);
      await again.leave({ properties: { sessionExpiryInterval: 0 } });
    }
  });

  test('does not find a client that is not there', async () => {
    await assert.rejects(
      client.send(new DeleteConnectionCommand({ clientId: unique('nobody') })), { name: 'ResourceNotFoundException' },
    );
  });
});

describe('SendDirectMessage', { concurrency: 4 }, () => {
  const send = (clientId, input = {}) => client.send(
    new SendDirectMessageCommand({ clientId, topic: 'direct/message', payload: Buffer.from('for you'), ...input }),
  );

  test('reaches one client, whatever it subscribes to, with all that MQTT 5 knows', async () => {
    const watcher = await listener('direct/#');
    const wire = await enterRaw(server, 5);
    const { message, traceId } = await send(wire.id, {
      contentType: 'text/plain',
      responseTopic: 'answers/here',
      correlationData: base64('334'),
      payloadFormatIndicator: 'UTF8_DATA',
      userProperties: JSON.stringify([{ a: '1' }]),
      timeout: 99, // without a confirmation it means nothing
    });
    assert.equal(message, 'OK');
    assert.match(traceId, /^[0-9a-f-]{36}$/);
    const { topic, payload, qos, properties } = await wire.next('publish');
    assert.deepEqual([topic, String(payload), qos], ['direct/message', 'for you', 0]);
    assert.deepEqual([properties.contentType, properties.responseTopic, String(properties.correlationData)], ['text/plain', 'answers/here', '334']);
    assert.deepEqual({ ...properties.userProperties }, { a: '1' });
    await publish({ topic: 'direct/last', payload: Buffer.from('last') });
    assert.deepEqual(await watcher.until('last'), []);
    await watcher.leave();
    await wire.leave();
  });

  for (const version of [4, 5]) {
    test(`waits for the acknowledgement where it is to be confirmed, MQTT ${version}`, async () => {
      const wire = await enterRaw(server, version);
      const sent = send(wire.id, { confirmation: true, timeout: 15 });
      const { qos, messageId } = await wire.next('publish');
      assert.equal(qos, 1);
      wire.send({ cmd: 'puback', messageId });
      assert.equal((await sent).$metadata.httpStatusCode, 200);
      await wire.leave();
    });
  }

  test('is given up after the timeout', async () => {
    const wire = await enterRaw(server, 5);
    const path = `/connections/${wire.id}/messages?topic=a&confirmation=true&timeout=1`;
    const answer = await fetch(`http://${server.host}${path}`, { method: 'POST', body: 'x' });
    assert.deepEqual([answer.status, answer.headers.get('x-amzn-errortype')], [504, 'GatewayTimeoutException']);
    await wire.leave();
  });

  test('is for clients that are there', async () => {
    await assert.rejects(send(unique('nobody')), { name: 'ResourceNotFoundException' });
  });

  test('is refused where the client may not receive the topic', async () => {
    const wire = await enterRaw(server, 5, [allow('Receive', 'topic/other')]);
    await assert.rejects(send(wire.id), { name: 'ForbiddenException' });
    await wire.leave();
  });

  for (const [what, input] of [
    ['a topic with a wildcard', { topic: 'a/+' }],
    ['a timeout that is too long', { confirmation: true, timeout: 16 }],
    ['a payload of more than 128 KB', { payload: Buffer.alloc(128 * 1024 + 1) }],
  ]) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(send('anybody', input), ({ $metadata }) => [400, 413].includes($metadata.httpStatusCode));
    });
  }
});

describe('topic rules', { concurrency: 4 }, () => {
  const received = (wanted, what, marker = 'RECEIVED') => server.printed(marker, ({ event }) => wanted(event), what).then(({ event }) => event);

  test('of SST call a function with the payload itself', async () => {
    const mark = unique('rule');
    await publish({ topic: 'rules/plain/a', payload: Buffer.from(JSON.stringify({ mark, n: [1, { two: 2 }] })) });
    assert.deepEqual(await received((event) => event.mark === mark, 'the function is called'), { mark, n: [1, { two: 2 }] });
  });

  test('select what their statement says, and see who published', async () => {
    const wire = await enterRaw(server, 5, [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }], {});
    const say = (value, messageId) => wire.publish('rules/kitchen/picked', JSON.stringify({ reading: { value } }), { qos: 1, messageId });
    say(19, 1);
    say(20.5, 2);
    const event = await received((each) => each.client === wire.id, 'the function is called');
    assert.deepEqual(event, { value: 20.5, room: 'kitchen', client: wire.id, principal: 'tester' });
    await wire.leave();
  });

  test('give bytes to a function as base64', async () => {
    const bytes = Buffer.from([0, 255, ...Buffer.from(unique('bytes'))]);
    await publish({ topic: 'rules/binary', payload: bytes });
    await received((event) => event.data === bytes.toString('base64'), 'the function is called');
  });

  test('tell another function of what cannot be given to theirs', async () => {
    const payload = Buffer.from(`${unique('rule')}: no JSON`);
    await publish({ topic: 'rules/failing', payload });
    const event = await received(({ base64OriginalPayload }) => base64OriginalPayload === payload.toString('base64'), 'the error function is called', 'FAILED');
    assert.deepEqual([event.ruleName, event.topic, event.failures.length, event.failures[0].failedAction], ['failing', 'rules/failing', 1, 'LambdaAction']);
  });

  test('call a function that fails again, later, as Lambda does', async () => {
    const mark = unique('rule');
    await publish({ topic: 'rules/failing', payload: Buffer.from(JSON.stringify({ mark })) });
    await received((event) => event.mark === mark, 'the function is called', 'FAILING');
    await server.events.find(({ type, text }) => type === 'function' && /failed at attempt 1; again in 60 s/.test(text), 'another attempt is announced');
  });

  test('can be published to by name, past all subscribers', async () => {
    const mark = unique('ingest');
    const peer = await listener('#');
    await publish({ topic: '$aws/rules/plain/anything', payload: Buffer.from(JSON.stringify({ mark })) });
    await received((event) => event.mark === mark, 'the function is called');
    await publish({ topic: 'last', qos: 1, payload: Buffer.from('last') });
    assert.ok(!(await peer.until('last')).some((payload) => payload.includes(mark)));
    await peer.leave();
  });
});
