// What fanwire.toml can say: limits, order, stage variables, mocks, logs.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, printedBy, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';
import { within } from '../harness/patience.mjs';
import { Client, connect, refused } from '../harness/websocket.mjs';

let server;
let gate;
before(async () => {
  gate = await openGate();
  server = await start(app('native'));
});
after(async () => {
  gate.close();
  await server.stop();
});

const at = (stage, suffix = '') => `ws://${server.host}/${stage}${suffix}`;
const post = (stage, id, body) => fetch(
  `http://${server.host}/${stage}/@connections${id ? `/${encodeURIComponent(id)}` : ''}`,
  { method: 'POST', body },
);
const disconnected = (id) => server.printed(
  'DISCONNECT', (event) => event.requestContext.connectionId === id, 'the $disconnect event',
);

async function identified(stage, options) {
  const client = await connect(at(stage), options);
  const event = JSON.parse(await client.ask('x'));
  return { client, event, id: event.requestContext.connectionId };
}

describe('limits', { concurrency: true }, () => {
  test('an idle connection is closed with 1001 "Going away"', async () => {
    const { client, id } = await identified('idle');
    assert.deepEqual(await client.end(), { code: 1001, reason: 'Going away' });
    const { requestContext } = await disconnected(id);
    assert.equal(requestContext.disconnectStatusCode, 1001);
    assert.equal(requestContext.disconnectReason, 'Going away');
  });

  test('a connection that is talked to is not idle, from either side', async () => {
    const { client, id } = await identified('idle');
    const began = Date.now();
    // For more than two idle times, messages of one direction keep it open.
    while (Date.now() - began < 1_300) {
      assert.equal((await post('idle', id, 'outbound')).status, 200);
      assert.equal(await client.next(), 'outbound');
    }
    while (Date.now() - began < 2_600) await client.ask('inbound');
    assert.deepEqual(await client.end(), { code: 1001, reason: 'Going away' });
  });

  test('pings do not count as activity by default', async () => {
    const { client } = await identified('idle');
    const pinging = setInterval(() => client.socket.readyState === 1 && client.socket.ping(), 50);
    assert.deepEqual(await client.end(), { code: 1001, reason: 'Going away' });
    clearInterval(pinging);
  });

  test('pings count as activity where the option says so', async () => {
    const { client } = await identified('pings');
    const began = Date.now();
    while (Date.now() - began < 2_200) {
      const pong = new Promise((resolve) => client.socket.once('pong', resolve));
      client.socket.ping();
      await within(pong, 'a pong');
    }
    assert.equal(client.socket.readyState, client.socket.OPEN);
    await client.close();
  });

  test('a connection ends with 1001 at the end of its life, however busy', async () => {
    const { client, id } = await identified('lifetime');
    const busy = (async () => {
      while (client.socket.readyState === 1) {
        await client.ask('busy').catch(() => 'closed');
      }
    })();
    assert.deepEqual(await client.end(), { code: 1001, reason: 'Going away' });
    await busy;
    assert.equal((await disconnected(id)).requestContext.disconnectReason, 'Going away');
  });

  test('a $connect that takes longer than the integration timeout is 504', async () => {
    const refusal = await refused(at('brief'));
    assert.equal(refusal.status, 504);
    assert.ok(JSON.parse(refusal.body).message);
  });

  test('a message that takes longer than the integration timeout gets the error frame', async () => {
    const client = await connect(at('slow'));
    const frame = await client.ask('x');
    const { connectionId, requestId, message } = JSON.parse(frame);
    assert.ok(['Internal server error', 'Endpoint request timed out'].includes(message), frame);
    assert.equal(frame, `{"message": "${message}", "connectionId":"${connectionId}", "requestId":"${requestId}"}`);
    await client.close();
  });

  test('connections beyond the most are refused with 429, until others leave', async () => {
    const first = await connect(at('crowd'));
    const second = await connect(at('crowd'));
    assert.equal((await refused(at('crowd'))).status, 429);
    await first.close();
    let third;
    for (let tries = 0; !third && tries < 200; tries += 1) {
      third = await connect(at('crowd')).catch((error) => {
        assert.equal(error.refusal?.status, 429);
      });
    }
    assert.ok(third, 'a place is free again');
    await Promise.all([second.close(), third.close()]);
  });
});

test('with `ordered`, a message waits until the one before it is done', async () => {
  const client = await connect(at('ordered'));
  client.send({ action: 'gate', url: `${gate.url}/first`, label: 'first' });
  client.send({ action: 'gate', label: 'second' });
  await gate.arrived('first');
  assert.ok(!server.events.items.some((event) => printedBy(event, 'GATE')?.label === 'second'));
  gate.release('first');
  assert.equal(await client.next(), 'first');
  assert.equal(await client.next(), 'second');
  await client.close();
});

describe('the options of the open profile', { concurrency: true }, () => {
  test('binary messages reach functions as base64', async () => {
    const client = await connect(at('wide'));
    client.socket.send(Buffer.from([0, 255, 128]));
    const event = await client.json();
    assert.equal(event.isBase64Encoded, true);
    assert.deepEqual([...Buffer.from(event.body, 'base64')], [0, 255, 128]);
    await client.close();
  });

  test('compression is negotiated, without context takeover, and messages survive it', async () => {
    const client = await connect(at('wide'), { perMessageDeflate: { threshold: 0 } });
    assert.match(client.socket.extensions, /permessage-deflate/);
    const text = 'abc'.repeat(20_000);
    assert.equal(JSON.parse(await client.ask(text)).body, text);
    assert.equal(JSON.parse(await client.ask('short')).body, 'short');
    await client.close();
  });

  test('a client that does not offer compression gets none', async () => {
    const client = await connect(at('wide'));
    assert.equal(client.socket.extensions, '');
    assert.equal(JSON.parse(await client.ask('plain')).body, 'plain');
    await client.close();
  });

  test('a frame of 900 KB is taken', async () => {
    const client = await connect(at('wide'));
    const text = 'x'.repeat(900 * 1024);
    assert.equal(JSON.parse(await client.ask(text)).body, text);
    await client.close();
  });

  test('a POST to @connections without an id reaches everyone, compressing or not', async () => {
    const clients = await Promise.all([true, false, true].map(
      (perMessageDeflate) => connect(at('crier'), { perMessageDeflate }),
    ));
    const answer = await post('crier', undefined, 'to all');
    assert.ok(answer.ok, `${answer.status}`);
    assert.deepEqual(await answer.json(), { sent: 3, gone: [], full: [] });
    for (const client of clients) assert.equal(await client.next(), 'to all');
    await Promise.all(clients.map((client) => client.close()));
  });

  test('a POST to @connections without an id is refused where broadcast is off', async () => {
    assert.ok([403, 404, 405].includes((await post('idle', undefined, 'to all')).status));
  });

  test('a base path reaches the API too, for clients and for @connections', async () => {
    const { client, id } = await identified('ws');
    assert.equal((await post('ws', id, 'by the base path')).status, 200);
    assert.equal(await client.next(), 'by the base path');
    await client.close();
  });
});

describe('stage variables', { concurrency: true }, () => {
  test('are in the events of a stage that has some', async () => {
    const { client, event, id } = await identified('vars');
    const stageVariables = { table: 'people', level: '7' };
    assert.deepEqual(event.stageVariables, stageVariables);
    assert.deepEqual(Object.keys(event).sort(), ['body', 'isBase64Encoded', 'requestContext', 'stageVariables']);
    const auth = await server.printed('AUTH', (each) => each.requestContext.connectionId === id, 'the AUTH event');
    assert.deepEqual(auth.stageVariables, stageVariables);
    await client.close();
    assert.deepEqual((await disconnected(id)).stageVariables, stageVariables);
  });

  test('are not in the events of a stage that has none', async () => {
    const { client, event } = await identified('wide');
    assert.equal('stageVariables' in event, false);
    await client.close();
  });

  test('can be an identity source, which is 401 where the variable is missing', async () => {
    assert.equal((await refused(at('missing-variable'))).status, 401);
  });

  test('an authorizer without identity sources is always called', async () => {
    const client = await connect(at('no-source'));
    await client.close();
  });
});

describe('a mock', { concurrency: true }, () => {
  test('accepts a handshake with its status, and answers where the route has a response', async () => {
    const client = await connect(at('mock'));
    client.send({ action: 'unsaid' });
    assert.equal(await client.ask({ action: 'said' }), 'said');
    assert.equal(client.pending, 0);
    await client.close();
  });

  test('refuses a handshake with its status', async () => {
    assert.equal((await refused(at('closed'))).status, 403);
  });
});

test('an access log line has the $context variables, and "-" for what there is not', async () => {
  const { client, event, id } = await identified('vars', { headers: { 'User-Agent': 'suite/5' } });
  await client.close();
  const lines = await server.events.count(
    (each) => each.type === 'access' && each.line.includes(id), 3, 'three access log lines',
  );
  // A message's line may come after that of the disconnect which followed its answer.
  const [connected, left, message] = lines.map(({ line }) => JSON.parse(line)).sort((a, b) => (a.type < b.type ? -1 : 1));
  const { apiId } = event.requestContext;
  const common = {
    connection: id, api: apiId, stage: 'vars', domain: server.host, ip: '127.0.0.1', agent: 'suite/5',
    principal: 'someone', colour: 'green', error: '-', nothing: '-', status: '200',
  };
  for (const [line, type, route] of [[connected, 'CONNECT', '$connect'], [message, 'MESSAGE', '$default'], [left, 'DISCONNECT', '$disconnect']]) {
    const { id: requestId, message: messageId, latency, ...rest } = line;
    assert.match(requestId, /^[A-Za-z0-9_-]{15}=$/);
    assert.match(latency, /^\d+$/);
    assert.equal(messageId, type === 'MESSAGE' ? event.requestContext.messageId : '-');
    assert.deepEqual(rest, { ...common, type, route });
  }
});

test('many clients of one API hear each other\'s server only', async () => {
  const clients = Array.from({ length: 20 }, () => new Client(at('wide')));
  await Promise.all(clients.map(({ opened }) => opened));
  const ids = await Promise.all(clients.map(async (client) => JSON.parse(await client.ask('x')).requestContext.connectionId));
  // An id of one API is nobody at another.
  assert.equal((await post('vars', ids[0], 'x')).status, 410);
  await Promise.all(clients.map((client) => client.close()));
});
