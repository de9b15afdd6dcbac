// Bad input and bad load. After each, the server answers as before; nothing
// panics, and memory stays within bounds.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { OPCODE, Tcp, frame, handshake, upgraded } from '../harness/raw.mjs';
import { Client, connect } from '../harness/websocket.mjs';

const MB = 1024 * 1024;

let server;
before(async () => {
  server = await start(app('contract'));
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** The server's resident memory in bytes. */
async function memory(of = server) {
  const status = await readFile(`/proc/${of.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
}

/** The server still does its work. */
async function assertAlive() {
  const client = await connect(server.url());
  assert.equal(JSON.parse(await client.ask('alive')).body, 'alive');
  await client.close();
}

/** The status that a request is answered with; ending the connection counts as 400. */
async function refusal(tcp) {
  const status = () => /^HTTP\/1\.[01] (\d{3})/.exec(tcp.received.toString('latin1'))?.[1];
  await tcp.until(() => status() ?? (tcp.over ? 400 : undefined), 'an answer').catch((error) => {
    if (!tcp.over) throw error;
  });
  return Number(status() ?? 400);
}

const line = 'GET /dev HTTP/1.1\r\n';
const upgrade = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

describe('a malformed handshake', { concurrency: 8 }, () => {
  for (const [what, bytes] of [
    ['bytes that are no HTTP', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x0d, 0x0a, 0x0d, 0x0a])],
    ['a header without a colon', `${line}Host x\r\n\r\n`],
    ['a space before the colon', `${line}Host : x\r\n\r\n`],
    ['a NUL in a header', `${line}Host: x\r\nX: a\0b\r\n\r\n`],
    ['an unknown HTTP version', 'GET /dev HTTP/9.9\r\nHost: x\r\n\r\n'],
    ['a negative length', `POST /dev/@connections/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n`],
    ['two lengths', 'POST /dev/@connections/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ['a length beyond all numbers', 'POST /dev/@connections/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n'],
    ['a broken chunk', 'POST /dev/@connections/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['two keys', `${line}${upgrade}${key}${key}\r\n`],
    ['a path that is no UTF-8', Buffer.concat([Buffer.from('GET /dev/%ff%fe?'), Buffer.from([0xff, 0xfe]), Buffer.from(` HTTP/1.1\r\n${upgrade}${key}\r\n`)])],
    ['a method other than GET', `POST /dev HTTP/1.1\r\n${upgrade}${key}\r\n`],
    ['HTTP/1.0', `GET /dev HTTP/1.0\r\n${upgrade}${key}\r\n`],
  ]) {
    test(`with ${what} is refused and hurts nobody`, async () => {
      const tcp = await Tcp.open(server.port);
      tcp.write(bytes);
      const status = await refusal(tcp);
      assert.ok(status >= 400 && status < 500, `answered ${status}`);
      tcp.destroy();
      await assertAlive();
    });
  }

  for (const [what, extra] of [
    ['a header of 1 MB', () => `X-Large: ${'x'.repeat(MB)}\r\n`],
    ['10,000 headers', () => Array.from({ length: 10_000 }, (_, index) => `X-${index}: y\r\n`).join('')],
  ]) {
    test(`with ${what} is refused with a 4xx`, async () => {
      const tcp = await Tcp.open(server.port);
      tcp.write(`${line}${upgrade}${key}${extra()}\r\n`);
      const status = await refusal(tcp);
      assert.ok(status >= 400 && status < 500, `answered ${status}`);
      tcp.destroy();
      await assertAlive();
    });
  }

  test('with a target of 100 KB is refused with a 4xx', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(`GET /dev?${'x'.repeat(100_000)} HTTP/1.1\r\n${upgrade}${key}\r\n`);
    const status = await refusal(tcp);
    assert.ok(status >= 400 && status < 500, `answered ${status}`);
    tcp.destroy();
  });
});

test('handshakes that never end are given up, and others are served meanwhile', async () => {
  const slow = await Promise.all(Array.from({ length: 200 }, () => Tcp.open(server.port)));
  // Each stops at another byte, from none to all but the last one.
  const whole = handshake(server.host, '/dev');
  for (const [index, tcp] of slow.entries()) tcp.write(whole.slice(0, index % whole.length));
  await assertAlive();
  await within(Promise.all(slow.map(({ ended }) => ended)), 'the server gives the slow handshakes up', 90_000);
  for (const tcp of slow) tcp.destroy();
});

describe('a lost peer', { concurrency: true }, () => {
  const disconnected = (id) => server.printed(
    'DISCONNECT', (event) => event.requestContext.connectionId === id, 'the $disconnect event',
  );

  test('that only stops sending is disconnected with 1006', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(OPCODE.text, 'who am I'));
    const { connectionId } = JSON.parse((await tcp.frame()).payload);
    tcp.socket.end();
    const { requestContext } = await disconnected(connectionId);
    assert.equal(requestContext.disconnectStatusCode, 1006);
    await within(tcp.ended, 'the server ends its half too');
    tcp.destroy();
  });

  test('that resets is disconnected with 1006', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(OPCODE.text, 'who am I'));
    const { connectionId } = JSON.parse((await tcp.frame()).payload);
    tcp.socket.resetAndDestroy();
    const { requestContext } = await disconnected(connectionId);
    assert.equal(requestContext.disconnectStatusCode, 1006);
  });

  test('that leaves in the middle of a frame is disconnected with 1006', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(OPCODE.text, 'who am I'));
    const { connectionId } = JSON.parse((await tcp.frame()).payload);
    tcp.write(frame(OPCODE.text, 'never finished').subarray(0, 8));
    tcp.socket.destroy();
    const { requestContext } = await disconnected(connectionId);
    assert.equal(requestContext.disconnectStatusCode, 1006);
  });

  test('that leaves during $connect leaves nothing behind', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(handshake(server.host, '/dev?do=never&marker=left'));
    await server.printed('CONNECT', (event) => event.queryStringParameters?.marker === 'left', 'the $connect event');
    tcp.destroy();
    await assertAlive();
  });
});

test('a reader that never reads costs a bounded queue, and gets what was accepted once it reads', async () => {
  const tcp = await upgraded(server);
  tcp.write(frame(OPCODE.text, 'who am I'));
  const { connectionId } = JSON.parse((await tcp.frame()).payload);
  tcp.socket.pause();
  const before = await memory();
  let peak = before;
  const counts = { 200: 0, 429: 0 };
  const total = 100_000;
  const senders = 10;
  const body = (index) => JSON.stringify({ index, padding: 'p'.repeat(200) });
  await Promise.all(Array.from({ length: senders }, async (_, sender) => {
    const poster = await Tcp.open(server.port);
    const batch = 500;
    for (let sent = 0; sent < total / senders; sent += batch) {
      let requests = '';
      for (let index = 0; index < batch; index += 1) {
        const text = body(`${sender}-${sent + index}`);
        requests += `POST /dev/@connections/${encodeURIComponent(connectionId)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
      }
      poster.write(requests);
      // Every answer has one status line; a 429 has a body too.
      await poster.until((bytes) => {
        const statuses = bytes.toString('latin1').match(/HTTP\/1\.1 (\d{3})/g) ?? [];
        return statuses.length >= batch ? true : undefined;
      }, 'answers to a batch of posts', 60_000);
      for (const status of poster.received.toString('latin1').match(/HTTP\/1\.1 (\d{3})/g)) {
        counts[status.slice(-3)] = (counts[status.slice(-3)] ?? 0) + 1;
      }
      if (counts['429'] > 0) {
        assert.match(poster.received.toString('latin1'), /x-amzn-errortype: LimitExceededException|HTTP\/1\.1 200/i);
      }
      poster.received = Buffer.alloc(0);
      peak = Math.max(peak, await memory());
    }
    poster.destroy();
  }));
  assert.equal(counts['200'] + counts['429'], total, JSON.stringify(counts));
  assert.ok(counts['429'] > total / 2, `most posts are refused: ${JSON.stringify(counts)}`);
  assert.ok(peak - before < 48 * MB, `memory grew by ${(peak - before) / MB} MB`);
  tcp.socket.resume();
  for (let received = 0; received < counts['200']; received += 1) {
    const { opcode } = await tcp.frame();
    assert.equal(opcode, OPCODE.text);
  }
  tcp.destroy();
  await assertAlive();
});

test('a broadcast skips those who never read, within bounded memory, and reaches the others', async () => {
  const crying = await start(app('native'));
  try {
    const deaf = await Promise.all(Array.from({ length: 20 }, () => upgraded(crying, '/crier')));
    for (const tcp of deaf) tcp.socket.pause();
    const listener = await connect(`ws://${crying.host}/crier`);
    const before = await memory(crying);
    const total = 20_000;
    const batch = 500;
    const text = 'b'.repeat(1_000);
    const request = `POST /crier/@connections HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    const poster = await Tcp.open(crying.port);
    let peak = before;
    for (let sent = 0; sent < total; sent += batch) {
      poster.write(request.repeat(batch));
      await poster.until(
        (bytes) => ((bytes.toString('latin1').match(/HTTP\/1\.1 2\d\d/g) ?? []).length >= batch ? true : undefined),
        'answers to a batch of broadcasts',
        60_000,
      );
      poster.received = Buffer.alloc(0);
      // One who reads as fast as they come gets every one.
      for (let index = 0; index < batch; index += 1) assert.equal(await listener.next(), text);
      peak = Math.max(peak, await memory(crying));
    }
    // Twenty queues of 1 MB, and room to work.
    assert.ok(peak - before < 64 * MB, `memory grew by ${(peak - before) / MB} MB`);
    poster.destroy();
    for (const tcp of deaf) tcp.destroy();
    await listener.close();
  } finally {
    await crying.stop();
  }
});

test('functions that never answer hold up nobody else', async () => {
  const stuck = await connect(server.url());
  for (let index = 0; index < 6; index += 1) stuck.send({ action: 'result', do: 'never' });
  await assertAlive();
  for (let index = 0; index < 6; index += 1) {
    assert.equal((await stuck.json('an error frame')).message, 'Internal server error');
  }
  await stuck.close();
});

test('functions that end their process are replaced each time', async () => {
  const client = await connect(server.url());
  for (let index = 0; index < 10; index += 1) {
    assert.equal(JSON.parse(await client.ask({ action: 'result', do: 'exit' })).message, 'Internal server error');
  }
  assert.equal(await client.ask({ action: 'result', return: { statusCode: 200, body: 'back' } }), 'back');
  await client.close();
});

test('a flood of 2,000 connections is served, and memory returns', async () => {
  const flooded = await start(app('selection'), { args: ['--param', 'selection=always'] });
  try {
    const wave = async () => {
      const clients = Array.from({ length: 2_000 }, () => new Client(flooded.url()));
      await within(Promise.all(clients.map(({ opened }) => opened)), '2,000 connections open', 60_000);
      assert.equal(await clients[1_234].ask('x'), 'always');
      clients.forEach(({ socket }, index) => (index % 2 ? socket.close() : socket.terminate()));
      await within(Promise.all(clients.map(({ closed }) => closed)), '2,000 connections close', 60_000);
    };
    // What the allocator keeps goes up and down by tens of megabytes from wave to wave, so one sample says nothing:
    // the last waves must fit into the most that the first ones took.
    let most = 0;
    for (let count = 0; count < 3; count += 1) {
      await wave();
      most = Math.max(most, await memory(flooded));
    }
    for (let count = 0; count < 3; count += 1) await wave();
    await eventually(
      async () => (await memory(flooded)) < most + 24 * MB,
      `memory returns to the most that the first waves took, ${most / MB} MB`,
    );
    const client = await connect(flooded.url());
    assert.equal(await client.ask('still here'), 'always');
    await client.close();
  } finally {
    await flooded.stop();
  }
});

test('300 handshakes at once are all decided by $connect', async () => {
  const clients = Array.from({ length: 300 }, () => new Client(server.url()));
  await within(Promise.all(clients.map(({ opened }) => opened)), '300 connections open', 60_000);
  await Promise.all(clients.map((client) => client.close()));
  await assertAlive();
});
