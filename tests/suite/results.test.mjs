// What becomes of a function's result on a message route.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';
import { connect } from '../harness/websocket.mjs';

let server;
let gate;
before(async () => {
  gate = await openGate();
  server = await start(app('contract'));
});
after(async () => {
  gate.close();
  await server.stop();
});

/** Asserts that `frame` is API Gateway's error frame, byte for byte. */
function assertErrorFrame(frame, connectionId) {
  const { requestId } = JSON.parse(frame);
  assert.match(requestId, /^[A-Za-z0-9_-]{15}=$/);
  assert.equal(
    frame,
    `{"message": "Internal server error", "connectionId":"${connectionId}", "requestId":"${requestId}"}`,
  );
}

async function identified() {
  const client = await connect(server.url());
  const { connectionId } = JSON.parse(await client.ask('who am I'));
  return { client, connectionId };
}

const WELL_FORMED = [
  ['a body', { statusCode: 200, body: 'text' }, 'text'],
  ['a 500 with a body', { statusCode: 500, body: 'still a message' }, 'still a message'],
  ['a 404 with a body', { statusCode: 404, body: 'not found' }, 'not found'],
  ['no body', { statusCode: 200 }, ''],
  ['an empty body', { statusCode: 200, body: '' }, ''],
  ['every key there is', { statusCode: 200, headers: { a: 'b' }, multiValueHeaders: {}, body: 'all', isBase64Encoded: false }, 'all'],
  ['base64', { statusCode: 200, body: 'aMOp', isBase64Encoded: true }, 'hé'],
  ['the status as text', { statusCode: '200', body: 'text status' }, 'text status'],
];

const MALFORMED = [
  ['throws', { do: 'throw' }],
  ['rejects with text', { do: 'reject-text' }],
  ['returns nothing', { do: 'nothing' }],
  ['returns null', { return: null }],
  ['returns text', { return: 'text' }],
  ['returns a number', { return: 200 }],
  ['returns an array', { return: [] }],
  ['returns no statusCode', { return: { body: 'text' } }],
  ['returns an unknown key', { return: { statusCode: 200, Data: 'x', ConnectionId: 'y' } }],
  ['returns a body that is an object', { return: { statusCode: 200, body: { not: 'text' } } }],
  ['times out', { do: 'never' }],
  ['ends its process', { do: 'exit' }],
];

describe('on a two-way route', { concurrency: 6 }, () => {
  for (const [what, result, expected] of WELL_FORMED) {
    test(`a result with ${what} sends its body`, async () => {
      const client = await connect(server.url());
      assert.equal(await client.ask({ action: 'result', return: result }), expected);
      await client.close();
    });
  }

  for (const [what, order] of MALFORMED) {
    test(`a function that ${what} sends the error frame and keeps the connection`, async () => {
      const { client, connectionId } = await identified();
      assertErrorFrame(await client.ask({ action: 'result', ...order }), connectionId);
      assert.equal(await client.ask({ action: 'result', return: { statusCode: 200, body: 'alive' } }), 'alive');
      await client.close();
    });
  }
});

describe('on a one-way route', { concurrency: 6 }, () => {
  for (const [what, result] of WELL_FORMED) {
    test(`a result with ${what} sends nothing`, async () => {
      const { client, connectionId } = await identified();
      client.send({ action: 'quiet', return: result });
      await server.request({ routeKey: 'quiet', connectionId }, 'the one-way message is handled');
      assert.equal(await client.ask({ action: 'result', return: { statusCode: 200, body: 'first' } }), 'first');
      await client.close();
    });
  }

  for (const [what, order] of MALFORMED) {
    test(`a function that ${what} sends the error frame all the same`, async () => {
      const { client, connectionId } = await identified();
      assertErrorFrame(await client.ask({ action: 'quiet', ...order }), connectionId);
      await client.close();
    });
  }
});

test('messages of one connection are handled at the same time', async () => {
  const client = await connect(server.url());
  client.send({ action: 'gate', url: `${gate.url}/slow`, label: 'slow' });
  await gate.arrived('slow');
  assert.equal(await client.ask({ action: 'gate', label: 'fast' }), 'fast');
  gate.release('slow');
  assert.equal(await client.next(), 'slow');
  await client.close();
});

test('an answer to a connection that is gone is dropped', async () => {
  const { client, connectionId } = await identified();
  client.send({ action: 'gate', url: `${gate.url}/gone`, label: 'too late' });
  await gate.arrived('gone');
  await client.close();
  await server.request({ eventType: 'DISCONNECT', connectionId }, 'the connection is gone');
  gate.release('gone');
  await server.request({ routeKey: 'gate', connectionId }, 'the message is handled');
  const { client: other } = await identified();
  await other.close();
});

test('a failure shows the stack of the handler beside the request', async () => {
  const { client, connectionId } = await identified();
  const { requestId } = JSON.parse(await client.ask({ action: 'result', do: 'throw' }));
  const request = await server.request({ requestId }, 'the request is reported');
  assert.equal(request.connectionId, connectionId);
  assert.equal(request.routeKey, 'result');
  assert.notEqual(request.outcome, 'ok');
  await server.events.find(
    (event) => event.type === 'line' && /boom/.test(event.text),
    'a log line with the error',
  );
  await server.events.find(
    (event) => event.type === 'line' && /handlers\.js:\d+/.test(event.text),
    'a log line with the place in the handler',
  );
  await client.close();
});
