// The events that functions get: every key that API Gateway sends, and no other.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { OPCODE, frame, upgraded } from '../harness/raw.mjs';
import { connect } from '../harness/websocket.mjs';

const ID = /^[A-Za-z0-9_-]{15}=$/;
const CLF = /^\d{2}\/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\/\d{4}:\d{2}:\d{2}:\d{2} \+0000$/;

let server;
before(async () => {
  server = await start(app('contract'));
});
after(() => server.stop());

let count = 0;

/** Connects with a query string of its own and finds the $connect event. */
async function connected(parameters = '', options = {}) {
  count += 1;
  const marker = `${process.pid}-${count}`;
  const client = await connect(server.url(`?marker=${marker}${parameters}`), options);
  return { client, event: await connectEvent(marker) };
}

const connectEvent = (marker) =>
  server.printed('CONNECT', (each) => each.queryStringParameters?.marker === marker, 'the CONNECT event');

const disconnectEvent = (id) =>
  server.printed('DISCONNECT', (each) => each.requestContext.connectionId === id, 'the DISCONNECT event');

/** Sorted keys, so that a difference reads as one. */
const keys = (object) => Object.keys(object).sort();

/** What is the same in the requestContext of all three events. */
function assertContext(context, { type, route, extra = [] }) {
  assert.deepEqual(keys(context), [
    'apiId', 'connectedAt', 'connectionId', 'domainName', 'eventType', 'extendedRequestId', 'identity',
    'messageDirection', 'requestId', 'requestTime', 'requestTimeEpoch', 'routeKey', 'stage', ...extra,
  ].sort());
  assert.equal(context.routeKey, route);
  assert.equal(context.eventType, type);
  assert.equal(context.messageDirection, 'IN');
  assert.equal(context.stage, 'dev');
  assert.equal(context.apiId, server.ready.apis[0].id);
  assert.equal(context.domainName, server.host);
  assert.match(context.connectionId, ID);
  assert.match(context.requestId, ID);
  assert.equal(context.requestId, context.extendedRequestId);
  assert.match(context.requestTime, CLF);
  assert.ok(Number.isInteger(context.connectedAt));
  assert.ok(Number.isInteger(context.requestTimeEpoch));
  assert.ok(context.requestTimeEpoch >= context.connectedAt);
  assert.ok(Math.abs(Date.now() - context.requestTimeEpoch) < 60_000);
}

describe('the CONNECT event', { concurrency: true }, () => {
  test('has the keys of API Gateway and no other', async () => {
    const { client, event } = await connected('', { headers: { 'User-Agent': 'suite/1' }, perMessageDeflate: true });
    assert.deepEqual(keys(event), [
      'headers', 'isBase64Encoded', 'multiValueHeaders', 'multiValueQueryStringParameters',
      'queryStringParameters', 'requestContext',
    ]);
    assert.equal(event.isBase64Encoded, false);
    assertContext(event.requestContext, { type: 'CONNECT', route: '$connect' });
    assert.deepEqual(event.requestContext.identity, { userAgent: 'suite/1', sourceIp: '127.0.0.1' });
    assert.deepEqual(keys(event.headers), [
      'Host', 'Sec-WebSocket-Extensions', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'User-Agent',
      'X-Amzn-Trace-Id', 'X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto',
    ]);
    assert.equal(event.headers.Host, server.host);
    assert.equal(event.headers['Sec-WebSocket-Version'], '13');
    assert.match(event.headers['X-Amzn-Trace-Id'], /^Root=1-[0-9a-f]{8}-[0-9a-f]{24}/);
    assert.equal(event.headers['X-Forwarded-For'], '127.0.0.1');
    assert.equal(event.headers['X-Forwarded-Port'], String(server.port));
    assert.equal(event.headers['X-Forwarded-Proto'], 'http');
    assert.deepEqual(
      event.multiValueHeaders,
      Object.fromEntries(Object.entries(event.headers).map(([name, value]) => [name, [value]])),
    );
    await client.close();
  });

  test('has no query string members when there is no query', async () => {
    const client = await connect(server.url(), { headers: { 'X-Marker': 'no-query' } });
    const event = await server.printed('CONNECT', (each) => each.headers['X-Marker'] === 'no-query', 'the event');
    assert.deepEqual(keys(event), ['headers', 'isBase64Encoded', 'multiValueHeaders', 'requestContext']);
    assert.deepEqual(event.requestContext.identity, { sourceIp: '127.0.0.1' });
    await client.close();
  });

  test('holds the last value of a repeated query key, all values beside it, and decodes both', async () => {
    const { client, event } = await connected('&room=a%20b&room=c%2Bd&room=%C3%A9&flag&empty=&plus=a+b');
    const { marker, ...single } = event.queryStringParameters;
    const { marker: _, ...multi } = event.multiValueQueryStringParameters;
    assert.ok(marker);
    assert.equal(single.room, 'é');
    assert.deepEqual(multi.room, ['a b', 'c+d', 'é']);
    assert.equal(single.flag, '');
    assert.equal(single.empty, '');
    assert.equal(single.plus, 'a b');
    await client.close();
  });

  test('writes known header names in their canonical case and keeps the case of others', async () => {
    const marker = `case-${process.pid}`;
    const tcp = await upgraded(server, `/dev?marker=${marker}`, {
      'user-agent': 'raw', origin: 'http://localhost', COOKIE: 'a=1', 'x-MY-header': 'mine',
    });
    const { headers, requestContext } = await connectEvent(marker);
    assert.equal(headers['User-Agent'], 'raw');
    assert.equal(headers.Origin, 'http://localhost');
    assert.equal(headers.Cookie, 'a=1');
    assert.equal(headers['x-MY-header'], 'mine');
    assert.equal(requestContext.identity.userAgent, 'raw');
    for (const name of Object.keys(headers)) {
      assert.doesNotMatch(name, /^(connection|upgrade|content-length)$/i);
    }
    tcp.destroy();
  });

  test('holds all values of a repeated header', async () => {
    const marker = `repeated-${process.pid}`;
    const tcp = await upgraded(server, `/dev?marker=${marker}`, { 'X-Many': ['one', 'two'] });
    const event = await connectEvent(marker);
    assert.deepEqual(event.multiValueHeaders['X-Many'], ['one', 'two']);
    assert.equal(event.headers['X-Many'], 'two');
    tcp.destroy();
  });

  test('appends the peer to an X-Forwarded-For that the client sent', async () => {
    const { client, event } = await connected('', { headers: { 'X-Forwarded-For': '203.0.113.9' } });
    assert.equal(event.headers['X-Forwarded-For'], '203.0.113.9, 127.0.0.1');
    assert.equal(event.requestContext.identity.sourceIp, '127.0.0.1');
    await client.close();
  });
});

describe('the MESSAGE event', { concurrency: true }, () => {
  test('has the keys of API Gateway and no other', async () => {
    const { client, event: connectedWith } = await connected('', { headers: { 'User-Agent': 'suite/2' } });
    const body = '{"action":"event", "spaces":  "kept", "é":"ü"}';
    const event = JSON.parse(await client.ask(body));
    assert.deepEqual(keys(event), ['body', 'isBase64Encoded', 'requestContext']);
    assert.equal(event.body, body);
    assert.equal(event.isBase64Encoded, false);
    assertContext(event.requestContext, { type: 'MESSAGE', route: 'event', extra: ['messageId'] });
    assert.match(event.requestContext.messageId, ID);
    assert.deepEqual(event.requestContext.identity, { userAgent: 'suite/2', sourceIp: '127.0.0.1' });
    assert.equal(event.requestContext.connectionId, connectedWith.requestContext.connectionId);
    assert.equal(event.requestContext.connectedAt, connectedWith.requestContext.connectedAt);
    assert.notEqual(event.requestContext.requestId, connectedWith.requestContext.requestId);
    await client.close();
  });

  test('has ids of its own for each message', async () => {
    const { client } = await connected();
    const first = JSON.parse(await client.ask({ action: 'event' })).requestContext;
    const second = JSON.parse(await client.ask({ action: 'event' })).requestContext;
    assert.notEqual(first.messageId, second.messageId);
    assert.notEqual(first.requestId, second.requestId);
    assert.equal(first.connectionId, second.connectionId);
    await client.close();
  });

  test('has an empty body for an empty message', async () => {
    const { client } = await connected();
    assert.equal(JSON.parse(await client.ask('')).body, '');
    await client.close();
  });

  test('joins the fragments of a message, with a ping between them', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(OPCODE.text, 'one ', { fin: false }));
    tcp.write(frame(OPCODE.ping, 'still there?'));
    tcp.write(frame(OPCODE.continuation, 'mess', { fin: false }));
    tcp.write(frame(OPCODE.continuation, 'age'));
    const pong = await tcp.frame();
    assert.equal(pong.opcode, OPCODE.pong);
    assert.equal(pong.payload.toString(), 'still there?');
    assert.equal(JSON.parse((await tcp.frame()).payload).body, 'one message');
    tcp.destroy();
  });
});

describe('the DISCONNECT event', { concurrency: true }, () => {
  test('has the keys of API Gateway and no other', async () => {
    const { client, event: connectedWith } = await connected();
    const { connectionId } = connectedWith.requestContext;
    await client.close();
    const event = await disconnectEvent(connectionId);
    assert.deepEqual(keys(event), ['headers', 'isBase64Encoded', 'multiValueHeaders', 'requestContext']);
    assert.equal(event.isBase64Encoded, false);
    assertContext(event.requestContext, {
      type: 'DISCONNECT', route: '$disconnect', extra: ['disconnectReason', 'disconnectStatusCode'],
    });
    assert.deepEqual(event.headers, { Host: server.host, 'x-api-key': '', 'X-Forwarded-For': '', 'x-restapi': '' });
    assert.deepEqual(event.multiValueHeaders, {
      Host: [server.host], 'x-api-key': [''], 'X-Forwarded-For': [''], 'x-restapi': [''],
    });
    assert.equal(event.requestContext.connectedAt, connectedWith.requestContext.connectedAt);
  });

  for (const [what, close, code, reason] of [
    ['a close without a code', (client) => client.close(), 1005, 'Client-side close frame status not set'],
    ['a close with a code and a reason', (client) => client.close(4001, 'bye'), 4001, 'bye'],
    ['a close with a code only', (client) => client.close(1000), 1000, ''],
    ['a lost connection', (client) => client.socket.terminate(), 1006, ''],
    ['a binary message', (client) => client.socket.send(Buffer.from([1, 2, 3])), 1003, undefined],
    ['a frame that is too long', (client) => client.send('x'.repeat(33 * 1024)), 1009, undefined],
  ]) {
    test(`tells of ${what} as ${code}`, async () => {
      const { client, event } = await connected();
      close(client);
      const { requestContext } = await disconnectEvent(event.requestContext.connectionId);
      assert.equal(requestContext.disconnectStatusCode, code);
      if (reason !== undefined) assert.equal(requestContext.disconnectReason, reason);
      assert.equal(typeof requestContext.disconnectReason, 'string');
    });
  }

  test('comes once, whatever the function does', async () => {
    const { client, event } = await connected();
    const { connectionId } = event.requestContext;
    await client.close();
    await server.request({ eventType: 'DISCONNECT', connectionId }, 'the DISCONNECT request');
    const later = await connected();
    await later.client.close();
    await server.request(
      { eventType: 'DISCONNECT', connectionId: later.event.requestContext.connectionId },
      'a later DISCONNECT request',
    );
    const seen = server.events.items.filter(
      (each) => each.type === 'request' && each.eventType === 'DISCONNECT' && each.connectionId === connectionId,
    );
    assert.equal(seen.length, 1);
  });
});

test('every connection id is 16 characters, the last of them "=", and none comes twice', async () => {
  const clients = await Promise.all(Array.from({ length: 40 }, () => connected()));
  const ids = clients.map(({ event }) => event.requestContext.connectionId);
  for (const id of ids) assert.match(id, ID);
  assert.equal(new Set(ids).size, ids.length);
  await Promise.all(clients.map(({ client }) => client.close()));
});

test('the access log has a line for each event, in the Serverless Framework\'s format', async () => {
  const { client, event } = await connected();
  const { connectionId } = event.requestContext;
  await client.ask('anything');
  await client.close();
  const lines = await server.events.count(
    (each) => each.type === 'access' && each.line.includes(connectionId),
    3,
    'three access log lines',
  );
  const form = /^127\.0\.0\.1 - - \[(\S+ \+0000)\] "(\w+) (\S+) (\S{16})" (\S{16})$/;
  const parsed = lines.map(({ line }) => form.exec(line)?.slice(1) ?? line);
  assert.deepEqual(
    // A message's line may come after that of the disconnect which followed its answer.
    parsed.map(([time, type, route, id]) => [CLF.test(time), type, route, id]).sort(),
    [
      [true, 'CONNECT', '$connect', connectionId],
      [true, 'DISCONNECT', '$disconnect', connectionId],
      [true, 'MESSAGE', '$default', connectionId],
    ],
  );
});
