// The handshake waits for $connect, and its outcome is the HTTP status.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';
import { Tcp, handshake } from '../harness/raw.mjs';
import { Client, connect, refused } from '../harness/websocket.mjs';

const ID = /^[A-Za-z0-9_-]{15}=$/;

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

const query = (values) => `?${new URLSearchParams(values)}`;

/** A GET without a WebSocket handshake. */
const get = (path, headers = {}) =>
  new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port: server.port, path, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => { body += text; });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    request.on('error', reject);
  });

describe('the handshake', { concurrency: 8 }, () => {
  test('opens only after $connect has returned', async () => {
    const client = new Client(server.url(query({ gate: `${gate.url}/open` })));
    await gate.arrived('open');
    assert.equal(client.socket.readyState, client.socket.CONNECTING);
    gate.release('open');
    await client.opened;
    await client.close();
  });

  for (const status of [200, 201, 204, 299]) {
    test(`is accepted when $connect returns ${status}`, async () => {
      const client = await connect(server.url(query({ do: 'status', status })));
      await client.close();
    });
  }

  test('is accepted when $connect returns its status as text', async () => {
    const client = await connect(server.url(query({ do: 'text-status', status: '200' })));
    await client.close();
  });

  for (const status of [300, 302, 400, 401, 403, 404, 409, 429, 500, 503]) {
    test(`is refused with ${status} when $connect returns ${status}`, async () => {
      const refusal = await refused(server.url(query({ do: 'status', status })));
      assert.equal(refusal.status, status);
      assert.match(refusal.headers['x-amzn-requestid'], ID);
    });
  }

  for (const [fault, what] of [
    ['throw', 'throws'],
    ['null', 'returns null'],
    ['text', 'returns text'],
    ['no-status', 'returns no statusCode'],
    ['extra', 'returns a key that is not in the contract'],
    ['never', 'times out'],
    ['exit', 'ends its process'],
  ]) {
    test(`is refused with 502 when $connect ${what}`, async () => {
      const refusal = await refused(server.url(query({ do: fault })));
      assert.equal(refusal.status, 502);
      const { connectionId, requestId, ...rest } = JSON.parse(refusal.body);
      assert.deepEqual(rest, { message: 'Internal server error' });
      assert.match(connectionId, ID);
      assert.match(requestId, ID);
      assert.equal(
        refusal.body,
        `{"message": "Internal server error", "connectionId":"${connectionId}", "requestId":"${requestId}"}`,
      );
      assert.equal(refusal.headers['x-amzn-errortype'], 'BadGatewayException');
      assert.match(refusal.headers['content-type'], /^application\/json/);
    });
  }

  test('that is refused leaves no connection and causes no $disconnect', async () => {
    const marker = `refused-${process.pid}`;
    await refused(server.url(query({ do: 'status', status: 403, marker })));
    const event = await server.printed(
      'CONNECT',
      (each) => each.queryStringParameters?.marker === marker,
      'the refused $connect event',
    );
    const { connectionId } = event.requestContext;
    const answer = await get(`/dev/@connections/${encodeURIComponent(connectionId)}`);
    assert.equal(answer.status, 410);
    // A later connection's $disconnect has come, and none for the refused one.
    const other = await connect(server.url());
    const { connectionId: otherId } = JSON.parse(await other.ask('who am I'));
    await other.close();
    await server.request({ eventType: 'DISCONNECT', connectionId: otherId }, 'the other one disconnects');
    assert.ok(!server.events.items.some(
      (each) => each.eventType === 'DISCONNECT' && each.connectionId === connectionId,
    ));
  });

  test('tolerates a slash after the stage', async () => {
    const client = await connect(server.url('/'));
    await client.close();
  });

  for (const path of ['/prod', '/dev/more', '/DEV', '/%64ev2']) {
    test(`is refused with 403 Forbidden at ${path}, which is no stage`, async () => {
      const refusal = await refused(`ws://${server.host}${path}`);
      assert.equal(refusal.status, 403);
      assert.equal(refusal.body, '{"message":"Forbidden"}');
      assert.equal(refusal.headers['x-amzn-errortype'], 'ForbiddenException');
    });
  }

  test('is asked for with 426 by a plain GET on the stage', async () => {
    assert.equal((await get('/dev')).status, 426);
  });

  for (const [fault, headers] of [
    ['without a key', { 'Sec-WebSocket-Key': undefined }],
    ['with a key that is not 16 bytes of base64', { 'Sec-WebSocket-Key': 'dG9vIHNob3J0' }],
    ['with version 8', { 'Sec-WebSocket-Version': '8' }],
    ['without a version', { 'Sec-WebSocket-Version': undefined }],
  ]) {
    test(`is refused with 400 ${fault}`, async () => {
      const tcp = await Tcp.open(server.port);
      tcp.write(handshake(server.host, '/dev', headers));
      const { status } = await tcp.head();
      tcp.destroy();
      assert.equal(status, 400);
    });
  }

  test('reaches the only API of the server without its stage, as a custom domain does', async () => {
    const client = await connect(`ws://${server.host}/`);
    await client.close();
  });

  for (const path of ['/ping', '/sping']) {
    test(`leaves ${path} to health checks`, async () => {
      assert.equal((await get(path)).status, 200);
    });
  }

  test('answers the key as RFC 6455 section 1.3 computes it', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(handshake(server.host, '/dev', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' }));
    const { head, status } = await tcp.head();
    tcp.destroy();
    assert.equal(status, 101);
    assert.match(head, /^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=$/im);
    assert.match(head, /^upgrade: websocket$/im);
    assert.match(head, /^connection: upgrade$/im);
    assert.doesNotMatch(head, /^sec-websocket-protocol:/im);
  });

  test('takes Connection and Upgrade in any case and among other values', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(handshake(server.host, '/dev', { Connection: 'keep-alive, UPGRADE', Upgrade: 'WebSocket' }));
    const { status } = await tcp.head();
    tcp.destroy();
    assert.equal(status, 101);
  });

  test('loses no message that was sent right behind it', async () => {
    const { frame, OPCODE } = await import('../harness/raw.mjs');
    const tcp = await Tcp.open(server.port);
    tcp.write(Buffer.concat([Buffer.from(handshake(server.host, '/dev')), frame(OPCODE.text, 'early')]));
    assert.equal((await tcp.head()).status, 101);
    assert.equal(JSON.parse((await tcp.frame()).payload).body, 'early');
    tcp.destroy();
  });
});

describe('a subprotocol', { concurrency: true }, () => {
  test('that $connect returns is the client\'s', async () => {
    const client = await connect(server.url(query({ do: 'protocol', protocol: 'v2.chat' })), {
      protocols: ['v1.chat', 'v2.chat'],
    });
    assert.equal(client.socket.protocol, 'v2.chat');
    await client.close();
  });

  test('that $connect does not return fails the client', async () => {
    await assert.rejects(
      connect(server.url(), { protocols: ['v1.chat'] }),
      /Server sent no subprotocol/,
    );
  });

  test('reaches $connect as the list that the client sent', async () => {
    const marker = `protocols-${process.pid}`;
    const client = await connect(server.url(query({ do: 'protocol', protocol: 'a', marker })), {
      protocols: ['a', 'b'],
    });
    const event = await server.printed(
      'CONNECT',
      (each) => each.queryStringParameters?.marker === marker,
      'the $connect event',
    );
    assert.equal(event.headers['Sec-WebSocket-Protocol'], 'a,b');
    await client.close();
  });
});

test('compression is offered to $connect and not negotiated', async () => {
  const marker = `deflate-${process.pid}`;
  const client = await connect(server.url(query({ marker })), { perMessageDeflate: true });
  assert.equal(client.socket.extensions, '');
  const event = await server.printed(
    'CONNECT',
    (each) => each.queryStringParameters?.marker === marker,
    'the $connect event',
  );
  assert.equal(event.headers['Sec-WebSocket-Extensions'], 'permessage-deflate; client_max_window_bits');
  await client.close();
});
