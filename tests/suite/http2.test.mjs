// HTTP/2 for the APIs, beside HTTP/1.1 and WebSockets on one port: clients that speak it
// under TLS and by prior knowledge, and browsers that use both at once.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { NodeHttp2Handler } from '@smithy/node-http-handler';
import { chromium } from 'playwright-core';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { PATIENCE_MS, within } from '../harness/patience.mjs';
import { Tcp } from '../harness/raw.mjs';
import { connect } from '../harness/websocket.mjs';

const run = promisify(execFile);
const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };

let server;
let home;
let ca;
before(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'fanwire-http2-'));
  server = await start(app('tls'), { env: { FANWIRE_HOME: path.join(home, 'fanwire') } });
  ca = await readFile(server.ready.certificateAuthority);
});
after(async () => {
  const { code } = await server.stop();
  await rm(home, { recursive: true });
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** A connection in HTTP/2, closed at the end of `use`. */
async function session(url, use, options = {}) {
  const opened = http2.connect(url, { ca, ...options });
  opened.on('error', () => {});
  try {
    return await use(opened);
  } finally {
    opened.destroy();
  }
}

/** A request on it, and its answer. */
function ask(opened, headers, body) {
  return within(new Promise((resolve, reject) => {
    const stream = opened.request(headers);
    const answer = { body: '' };
    stream.on('response', (found) => { answer.headers = found; });
    stream.setEncoding('utf8').on('data', (chunk) => { answer.body += chunk; });
    stream.on('end', () => resolve({ status: answer.headers?.[':status'], ...answer }));
    stream.on('error', reject);
    stream.end(body);
  }), `an answer to ${headers[':path']}`);
}

describe('clients in HTTP/2', { concurrency: 3 }, () => {
  for (const [how, url] of [
    ['under TLS', () => `https://localhost:${server.port}`],
    ['by prior knowledge', () => `http://localhost:${server.port}`],
  ]) {
    test(`requests ${how} share a connection`, () => session(url(), async (opened) => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(opened, { ':path': '/ping' })));
      for (const { status, body } of answers) assert.deepEqual({ status, body }, { status: 200, body: '{"message":"healthy"}' });
    }));

    test(`a message ${how} reaches its connection, by the host that the request names`, () => session(url(), async (opened) => {
      const client = await connect(server.url());
      const { connectionId } = JSON.parse(await client.ask({ action: 'who' }));
      const { status } = await ask(opened, {
        ':method': 'POST', ':path': `/dev/@connections/${encodeURIComponent(connectionId)}`,
      }, `posted ${how}`);
      assert.equal(status, 200);
      assert.equal(await client.next(), `posted ${how}`);
      await client.close();
    }));
  }

  test('curl speaks it without being told', async () => {
    const { stdout } = await run('curl', [
      '--silent', '--cacert', server.ready.certificateAuthority, '--write-out', ' %{http_version}', `https://localhost:${server.port}/ping`,
    ], { timeout: PATIENCE_MS });
    assert.equal(stdout, '{"message":"healthy"} 2');
  });

  test('a WebSocket is refused in HTTP/2, and its settings say so', () => session(`https://localhost:${server.port}`, async (opened) => {
    await within(new Promise((resolve) => { opened.on('remoteSettings', resolve); }), 'the settings');
    assert.notEqual(opened.remoteSettings.enableConnectProtocol, true);
    const { status } = await ask(opened, { ':path': '/dev' });
    assert.ok(status >= 400 && status < 500, `${status}`);
  }));
});

describe('AWS SDKs in HTTP/2', { concurrency: 2 }, () => {
  test('version 3 posts over one connection with its handler for HTTP/2', async () => {
    const client = await connect(server.url());
    const { connectionId } = JSON.parse(await client.ask({ action: 'who' }));
    const sdk = new ApiGatewayManagementApiClient({
      endpoint: `http://localhost:${server.port}/dev`, region: 'eu-west-1', credentials, requestHandler: new NodeHttp2Handler(),
    });
    await Promise.all(['one', 'two', 'three'].map((Data) => (
      sdk.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data }))
    )));
    const heard = [await client.next(), await client.next(), await client.next()];
    assert.deepEqual(heard.sort(), ['one', 'three', 'two']);
    sdk.destroy();
    await client.close();
  });

  test('DynamoDB answers in it', async () => {
    const sdk = new DynamoDBClient({
      endpoint: `http://localhost:${server.port}`, region: 'eu-west-1', credentials, requestHandler: new NodeHttp2Handler(),
    });
    // The app has no tables: that it is told so is an answer.
    const answer = await sdk.send(new ListTablesCommand()).catch((error) => error.$metadata);
    assert.ok(answer.TableNames ?? answer.httpStatusCode);
    sdk.destroy();
  });
});

describe('a browser', () => {
  test('opens WebSockets beside requests in HTTP/2 on the same port', async () => {
    const user = await mkdtemp(path.join(home, 'user-'));
    const system = path.join(user, 'system');
    await fanwire(['trust', '--system-root', system, '--install'], {
      env: { HOME: user, FANWIRE_HOME: path.dirname(server.ready.certificateAuthority) },
    });
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      env: { ...process.env, HOME: user },
    });
    try {
      const tab = await browser.newPage();
      await tab.goto(`https://localhost:${server.port}/ping`);
      const protocol = await tab.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
      assert.equal(protocol, 'h2');
      const heard = tab.evaluate((url) => new Promise((resolve) => {
        const socket = new WebSocket(url);
        socket.onopen = () => socket.send('hello from a page');
        socket.onmessage = ({ data }) => resolve(data);
        socket.onerror = () => resolve('error');
      }), `wss://localhost:${server.port}/dev`);
      assert.equal(await within(heard, 'the page hears of its socket'), 'hello from a page');
    } finally {
      await browser.close();
    }
  });
});

describe('hostile clients', { concurrency: 4 }, () => {
  const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
  const frame = (type, flags, stream, payload = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const SETTINGS = frame(4, 0, 0);
  // `:method GET`, `:scheme http`, `:path /`, `:authority` "h", all of HPACK's static table.
  const GET = Buffer.from([0x82, 0x86, 0x84, 0x41, 0x01, 0x68]);

  /** What ends a connection: the code of the last GOAWAY, or nothing. */
  async function ending(bytes) {
    const tcp = await Tcp.open(server.port);
    tcp.write(PREFACE).write(SETTINGS);
    for (const each of bytes) tcp.write(each);
    await within(tcp.ended, 'the connection ends');
  }

  test('a flood of streams that are reset at once ends its connection', () => ending(
    Array.from({ length: 400 }, (_, index) => Buffer.concat([
      frame(1, 0x5, index * 2 + 1, GET), frame(3, 0, index * 2 + 1, Buffer.from([0, 0, 0, 8])),
    ])),
  ));

  test('a head that never ends its continuations ends its connection', () => ending([
    frame(1, 0x1, 1, GET), ...Array.from({ length: 200 }, () => frame(9, 0, 1, Buffer.alloc(1024, 0x82))),
  ]));

  test('a frame that is longer than agreed ends its connection', () => ending([frame(0, 0, 1, Buffer.alloc(20_000))]));

  test('settings that make no sense end their connection', () => ending([frame(4, 0, 0, Buffer.from([0, 5, 0, 0, 0, 1]))]));

  test('who sends the preface and no more is given up', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(PREFACE);
    await within(tcp.ended, 'the connection ends');
  });

  test('others are served all the while', () => session(`https://localhost:${server.port}`, async (opened) => {
    assert.equal((await ask(opened, { ':path': '/ping' })).status, 200);
  }));
});
