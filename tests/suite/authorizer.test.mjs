// REQUEST authorizers: who gets in, with which status the others are refused,
// and what functions see of the decision.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, printedBy, start } from '../harness/fanwire.mjs';
import { connect, refused } from '../harness/websocket.mjs';

let server;
before(async () => {
  server = await start(app('authorizer'));
});
after(() => server.stop());

const url = (how, marker) => server.url(`?${new URLSearchParams({ ...(how && { how }), ...(marker && { marker }) })}`);
const headers = { 'X-Token': 'secret' };
const keys = (object) => Object.keys(object).sort();

let count = 0;
const newMarker = () => `${process.pid}-${(count += 1)}`;
const marked = (kind, marker) =>
  server.printed(kind, (event) => event.queryStringParameters?.marker === marker, `the ${kind} event`);

describe('a policy', { concurrency: 6 }, () => {
  for (const how of [
    'allow', 'allow-star', 'allow-api-star', 'allow-any-action', 'allow-action-pattern', 'allow-plain-statement',
  ]) {
    test(`"${how}" lets the client in`, async () => {
      const client = await connect(url(how), { headers });
      await client.close();
    });
  }

  const DENIED = 'User is not authorized to access this resource';
  for (const [how, status, body, type] of [
    ['deny', 403, { Message: `${DENIED} with an explicit deny` }],
    ['deny-wins', 403, { Message: `${DENIED} with an explicit deny` }],
    ['rest-resource', 403, { Message: DENIED }],
    ['other-action', 403, { Message: DENIED }],
    ['empty-policy', 403, { Message: DENIED }],
    ['unauthorized', 401, { message: 'Unauthorized' }, 'UnauthorizedException'],
    ['unauthorized-text', 401, { message: 'Unauthorized' }, 'UnauthorizedException'],
    ['other-error', 500, { message: null }],
    ['no-principal', 500, { message: null }],
    ['no-policy', 500, { message: null }],
    ['status', 500, { message: null }],
    ['null', 500, { message: null }],
    ['never', 500, { message: null }],
    ['exit', 500, { message: null }],
    ['nested-context', 500, { message: null }],
    ['array-context', 500, { message: null }],
    ['large', 500, { message: null }],
  ]) {
    test(`"${how}" refuses with ${status}`, async () => {
      const refusal = await refused(url(how), { headers });
      assert.equal(refusal.status, status);
      assert.deepEqual(JSON.parse(refusal.body), body);
      if (type) assert.equal(refusal.headers['x-amzn-errortype'], type);
    });
  }
});

describe('an identity source', { concurrency: true }, () => {
  for (const [what, target, options] of [
    ['header that is missing', () => url('allow', newMarker()), {}],
    ['header that is empty', () => url('allow', newMarker()), { headers: { 'X-Token': '' } }],
    ['query parameter that is missing', () => url(undefined, newMarker()), { headers }],
    ['query parameter that is empty', () => server.url(`?how=&marker=${newMarker()}`), { headers }],
    ['query parameter in another case', () => server.url(`?How=allow&marker=${newMarker()}`), { headers }],
  ]) {
    test(`that is a ${what} refuses with 401 and the authorizer is not called`, async () => {
      const address = target();
      const refusal = await refused(address, options);
      assert.equal(refusal.status, 401);
      assert.deepEqual(JSON.parse(refusal.body), { message: 'Unauthorized' });
      // A later handshake has been through its authorizer; this one never was.
      const later = newMarker();
      const client = await connect(url('allow', later), { headers });
      await marked('AUTH', later);
      const marker = new URL(address).searchParams.get('marker');
      const called = server.events.items.some(
        (event) => printedBy(event, 'AUTH')?.queryStringParameters.marker === marker,
      );
      assert.equal(called, false);
      await client.close();
    });
  }

  test('that is a header is found in any case', async () => {
    const client = await connect(url('allow'), { headers: { 'x-TOKEN': 'secret' } });
    await client.close();
  });
});

describe('the authorizer event', { concurrency: true }, () => {
  test('has the keys of API Gateway and no other', async () => {
    const marker = newMarker();
    const client = await connect(url('allow', marker), { headers: { ...headers, 'User-Agent': 'suite/4' } });
    const event = await marked('AUTH', marker);
    assert.deepEqual(keys(event), [
      'headers', 'methodArn', 'multiValueHeaders', 'multiValueQueryStringParameters', 'queryStringParameters',
      'requestContext', 'stageVariables', 'type',
    ]);
    assert.equal(event.type, 'REQUEST');
    const api = server.ready.apis[0].id;
    assert.match(event.methodArn, new RegExp(`^arn:aws:execute-api:us-east-1:\\d{12}:${api}/dev/\\$connect$`));
    assert.deepEqual(event.stageVariables, {});
    assert.deepEqual(event.queryStringParameters, { how: 'allow', marker });
    assert.deepEqual(keys(event.requestContext), [
      'apiId', 'connectedAt', 'connectionId', 'domainName', 'eventType', 'extendedRequestId', 'identity',
      'messageDirection', 'requestId', 'requestTime', 'requestTimeEpoch', 'routeKey', 'stage',
    ]);
    assert.equal(event.requestContext.routeKey, '$connect');
    assert.equal(event.requestContext.eventType, 'CONNECT');
    assert.deepEqual(event.requestContext.identity, { userAgent: 'suite/4', sourceIp: '127.0.0.1' });
    assert.deepEqual(keys(event.headers), [
      'Connection', 'Host', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'Upgrade', 'User-Agent',
      'X-Amzn-Trace-Id', 'X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto', 'X-Token', 'content-length',
    ]);
    assert.equal(event.headers.Connection, 'upgrade');
    assert.equal(event.headers.Upgrade, 'websocket');
    assert.equal(event.headers['content-length'], '0');
    assert.deepEqual(
      event.multiValueHeaders,
      Object.fromEntries(Object.entries(event.headers).map(([name, value]) => [name, [value]])),
    );
    const connectEvent = await marked('CONNECT', marker);
    assert.equal(connectEvent.requestContext.connectionId, event.requestContext.connectionId);
    await client.close();
  });
});

test('context, principal and latency reach $connect, messages and $disconnect, as text', async () => {
  const marker = newMarker();
  const client = await connect(url('context', marker), { headers });
  const connectEvent = await marked('CONNECT', marker);
  const messageEvent = JSON.parse(await client.ask({ action: 'event' }));
  await client.close();
  const { connectionId } = connectEvent.requestContext;
  const disconnectEvent = await server.printed(
    'DISCONNECT',
    (event) => event.requestContext.connectionId === connectionId,
    'the DISCONNECT event',
  );
  for (const event of [connectEvent, messageEvent, disconnectEvent]) {
    const { integrationLatency, ...context } = event.requestContext.authorizer;
    assert.deepEqual(context, { text: 'value', number: '123', half: '0.5', yes: 'true', principalId: 'user-1' });
    assert.equal(typeof integrationLatency, 'number');
  }
  assert.deepEqual(keys(connectEvent), [
    'headers', 'isBase64Encoded', 'multiValueHeaders', 'multiValueQueryStringParameters', 'queryStringParameters',
    'requestContext',
  ]);
});

test('the authorizer runs once a handshake, and not for messages or $disconnect', async () => {
  const marker = newMarker();
  const client = await connect(url('allow', marker), { headers });
  const { requestContext: { connectionId } } = JSON.parse(await client.ask({ action: 'event' }));
  await client.ask({ action: 'event' });
  await client.close();
  await server.request({ eventType: 'DISCONNECT', connectionId }, 'the connection is gone');
  const calls = server.events.items.filter(
    (event) => printedBy(event, 'AUTH')?.requestContext.connectionId === connectionId,
  );
  assert.equal(calls.length, 1);
});

test('a refused handshake is neither a $connect nor a $disconnect', async () => {
  const marker = newMarker();
  await refused(url('deny', marker), { headers });
  const { requestContext: { connectionId } } = await marked('AUTH', marker);
  const client = await connect(url('allow'), { headers });
  const { requestContext: later } = JSON.parse(await client.ask({ action: 'event' }));
  await client.close();
  await server.request({ eventType: 'DISCONNECT', connectionId: later.connectionId }, 'a later $disconnect');
  for (const kind of ['CONNECT', 'DISCONNECT']) {
    assert.ok(!server.events.items.some(
      (event) => printedBy(event, kind)?.requestContext.connectionId === connectionId,
    ));
  }
});
