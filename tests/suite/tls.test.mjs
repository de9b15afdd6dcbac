// TLS on the server's one port: wss and https beside ws and http, from clients and
// handlers that know no more than whom to trust.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

import { ROOT, app, fanwire, start } from '../harness/fanwire.mjs';
import { PATIENCE_MS, within } from '../harness/patience.mjs';
import { Tcp, handshake } from '../harness/raw.mjs';
import { Client, connect } from '../harness/websocket.mjs';

const run = promisify(execFile);

let server;
let home;
let ca;
before(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'fanwire-tls-'));
  server = await start(app('tls'), { env: { FANWIRE_HOME: path.join(home, 'fanwire') } });
  ca = await readFile(server.ready.certificateAuthority);
});
after(async () => {
  const { code } = await server.stop();
  await rm(home, { recursive: true });
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

const wss = (host = 'localhost') => `wss://${host}:${server.port}/dev`;

/** A request, and its answer's status and body. */
async function get(url, options = {}) {
  const { request } = url.startsWith('https:') ? https : http;
  return within(new Promise((resolve, reject) => {
    request(url, options, (response) => {
      let body = '';
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    }).on('error', reject).end();
  }), `an answer from ${url}`);
}

/** Runs a program in Node with nothing but the CA to help it; resolves with what it printed. */
async function node(code, env = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], {
    cwd: path.join(ROOT, 'tests'),
    env: {
      ...Object.fromEntries(inherited),
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      AWS_REGION: 'eu-west-1',
      NODE_EXTRA_CA_CERTS: server.ready.certificateAuthority,
      ...env,
    },
    timeout: PATIENCE_MS,
  });
  return stdout.trim();
}

describe('clients over TLS', { concurrency: 4 }, () => {
  test('a WebSocket over TLS is a WebSocket, and its handshake says how it came', async () => {
    const client = await connect(`${wss()}?over=tls`, { ca });
    assert.equal(await client.ask('héllo 🌍'), 'héllo 🌍');
    const { headers } = await server.printed(
      'CONNECT', ({ headers: { Host } }) => Host === `localhost:${server.port}`, 'the $connect event',
    );
    assert.equal(headers['X-Forwarded-Proto'], 'https');
    assert.equal(headers['X-Forwarded-Port'], String(server.port));
    const { code } = await client.close(4001, 'bye');
    assert.equal(code, 4001);
  });

  for (const host of ['127.0.0.1', '[::1]']) {
    test(`the certificate is for ${host}, too`, async () => {
      const client = await connect(wss(host), { ca });
      assert.equal(await client.ask('hello'), 'hello');
      await client.close();
    });
  }

  for (const name of ['app.localhost', 'x1.execute-api.eu-west-1.amazonaws.com', 'dynamodb.cn-north-1.amazonaws.com.cn', 'lambda.eu-west-1.api.aws']) {
    test(`a client that asks for ${name} gets a certificate for it`, async () => {
      const { status } = await get(`https://127.0.0.1:${server.port}/ping`, {
        ca, servername: name, headers: { Host: name }, agent: false,
      });
      assert.equal(status, 200);
    });
  }

  test('a client that does not trust the authority does not connect', async () => {
    const client = new Client(wss());
    await assert.rejects(client.opened, { code: /SELF_SIGNED|UNABLE_TO_VERIFY/ });
  });

  test('the authority vouches for no name but this machine\'s and AWS\'s', async () => {
    await assert.rejects(
      get(`https://127.0.0.1:${server.port}/ping`, { ca, servername: 'example.com', agent: false }),
      { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    );
  });

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version} is spoken, with large messages both ways`, async () => {
      const client = await connect(wss(), { ca, minVersion: version, maxVersion: version });
      const text = 'x'.repeat(30_000);
      for (let round = 0; round < 20; round += 1) client.send(text);
      for (let round = 0; round < 20; round += 1) assert.equal(await client.next(), text);
      await client.close();
    });
  }

  test('a client that leaves without a word is gone for its handlers', async () => {
    const client = await connect(wss(), { ca });
    const { connectionId } = JSON.parse(await client.ask({ action: 'who' }));
    client.socket.terminate();
    const { code } = await server.printed(
      'DISCONNECT', (event) => event.connectionId === connectionId, 'the $disconnect event',
    );
    assert.equal(code, 1006);
  });

  test('ws and wss share the port, at once', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, (_, index) => (
      index % 2 ? connect(server.url()) : connect(wss(), { ca })
    )));
    const answers = await Promise.all(clients.map((client, index) => client.ask(`number ${index}`)));
    answers.forEach((answer, index) => assert.equal(answer, `number ${index}`));
    await Promise.all(clients.map((client) => client.close()));
  });

  test('requests over one TLS connection follow each other', async () => {
    const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < 5; round += 1) {
      const { status, body } = await get(`https://localhost:${server.port}/ping`, { agent });
      assert.deepEqual({ status, body }, { status: 200, body: '{"message":"healthy"}' });
    }
    agent.destroy();
  });
});

describe('AWS SDKs over https', { concurrency: 2 }, () => {
  /** A client that tells its connection's id. */
  const named = async () => {
    const client = await connect(wss(), { ca });
    const { connectionId } = JSON.parse(await client.ask({ action: 'who' }));
    return { client, connectionId };
  };

  test('version 3 posts with nothing but the CA in its environment', async () => {
    const { client, connectionId } = await named();
    await node(`
      import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
      const client = new ApiGatewayManagementApiClient({ endpoint: 'https://localhost:${server.port}/dev' });
      await client.send(new PostToConnectionCommand({ ConnectionId: '${connectionId}', Data: 'from v3' }));
    `);
    assert.equal(await client.next(), 'from v3');
    await client.close();
  });

  test('version 2 posts with nothing but the CA in its environment', async () => {
    const { client, connectionId } = await named();
    await node(`
      import AWS from 'aws-sdk';
      const client = new AWS.ApiGatewayManagementApi({ endpoint: 'https://localhost:${server.port}/dev' });
      await client.postToConnection({ ConnectionId: '${connectionId}', Data: 'from v2' }).promise();
    `, { AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE: '1' });
    assert.equal(await client.next(), 'from v2');
    await client.close();
  });

  for (const version of ['v2', 'v3']) {
    for (const [scheme, open] of [
      ['ws', () => connect(server.url())],
      ['wss', () => connect(wss(), { ca })],
    ]) {
      test(`a handler posts to https://\${domainName}/\${stage} with SDK ${version} for a client of ${scheme}`, async () => {
        const client = await open();
        assert.equal(await client.ask({ action: `post-${version}`, data: `by ${version}` }), `by ${version}`);
        await client.close();
      });
    }
  }
});

describe('handlers', () => {
  test('a handler in Python trusts the server, however strict it is', async () => {
    const client = await connect(server.url());
    assert.equal(await client.ask({ action: 'python' }), '{"message":"healthy"}');
    await client.close();
  });

  test('what a function is told to trust has the system\'s certificates in it', async () => {
    const client = await connect(server.url());
    const trusted = JSON.parse(await client.ask({ action: 'trust' }));
    const ours = ca.toString().trim();
    for (const name of ['NODE_EXTRA_CA_CERTS', 'AWS_CA_BUNDLE', 'REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE']) {
      assert.ok((await readFile(trusted[name], 'utf8')).includes(ours), name);
    }
    const bundle = await readFile(trusted.SSL_CERT_FILE, 'utf8');
    assert.ok(bundle.split('BEGIN CERTIFICATE').length > 50, 'a system trusts more than one authority');
    await client.close();
  });
});

describe('fanwire trust', { concurrency: 2 }, () => {
  /** A user with a home, and a system with a store, of their own. */
  async function machine({ update = '#!/bin/sh\necho updated >> "$0.log"\n' } = {}) {
    const folder = await mkdtemp(path.join(home, 'machine-'));
    const system = path.join(folder, 'system');
    const store = path.join(system, 'usr/local/share/ca-certificates/fanwire-local-ca.crt');
    const program = path.join(system, 'usr/sbin/update-ca-certificates');
    await mkdir(path.dirname(store), { recursive: true });
    await mkdir(path.dirname(program), { recursive: true });
    await writeFile(program, update, { mode: 0o755 });
    const env = { HOME: folder, FANWIRE_HOME: path.dirname(server.ready.certificateAuthority) };
    const trust = (...args) => fanwire(['trust', '--system-root', system, ...args], { env });
    return { folder, store, program, trust };
  }

  /** What `trust --json` says of each store. */
  const trusted = async ({ trust }) => JSON.parse((await trust('--json')).stdout).stores.map((each) => each.trusted);

  test('the certificate is printed', async () => {
    const { trust } = await machine();
    const { status, stdout } = await trust('--print');
    assert.deepEqual({ status, stdout }, { status: 0, stdout: ca.toString() });
  });

  test('installing adds it to every store, and uninstalling removes it', async () => {
    const here = await machine();
    assert.deepEqual(await trusted(here), [false, false]);
    for (const expected of [/yes, now +system/, /yes +system/]) {
      const { status, stdout } = await here.trust('--install');
      assert.equal(status, 0);
      assert.match(stdout, expected);
    }
    assert.deepEqual(await trusted(here), [true, true]);
    assert.equal(await readFile(here.store, 'utf8'), ca.toString());
    for (const expected of [/no longer +Chromium/, /no +Chromium/]) {
      const { status, stdout } = await here.trust('--uninstall');
      assert.equal(status, 0);
      assert.match(stdout, expected);
    }
    assert.deepEqual(await trusted(here), [false, false]);
    assert.equal(await readFile(`${here.program}.log`, 'utf8'), 'updated\nupdated\n');
  });

  test('an authority that came before is replaced', async () => {
    const here = await machine();
    await here.trust('--install');
    const env = { HOME: here.folder, FANWIRE_HOME: path.join(here.folder, 'another') };
    const system = path.join(here.folder, 'system');
    const other = (...args) => fanwire(['trust', '--system-root', system, ...args], { env });
    assert.deepEqual(await trusted({ trust: other }), [false, false]);
    await other('--install');
    assert.deepEqual(await trusted({ trust: other }), [true, true]);
    assert.deepEqual(await trusted(here), [false, false]);
  });

  test('what cannot be done is said with the command that does it', async () => {
    const here = await machine();
    await mkdir(here.store);
    const { status, stdout } = await here.trust('--install');
    assert.equal(status, 1);
    assert.match(stdout, /^ +sudo install -m 644 .*\/ca\.pem .*\/fanwire-local-ca\.crt$/m);
    assert.match(stdout, /^ +sudo update-ca-certificates$/m);
    assert.match(stdout, /yes, now +Chromium/);
  });

  test('an update that fails is a store that does not trust', async () => {
    const here = await machine({ update: '#!/bin/sh\necho "disk full" >&2\nexit 3\n' });
    const { status, stdout } = await here.trust('--install');
    assert.equal(status, 1);
    assert.match(stdout, /update-ca-certificates: disk full/);
    assert.deepEqual(await trusted(here), [false, true]);
  });

  for (const [what, install, expected] of [
    ['a browser connects once the authority is installed', true, 'hello from a page'],
    ['a browser does not connect before', false, 'error'],
  ]) {
    test(what, async () => {
      const here = await machine();
      if (install) assert.equal((await here.trust('--install')).status, 0);
      const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
        env: { ...process.env, HOME: here.folder },
      });
      try {
        const tab = await browser.newPage();
        const heard = tab.evaluate((url) => new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => socket.send('hello from a page');
          socket.onmessage = ({ data }) => resolve(data);
          socket.onerror = () => resolve('error');
        }), wss());
        assert.equal(await within(heard, 'the page hears of its socket'), expected);
      } finally {
        await browser.close();
      }
    });
  }
});

describe('hostile beginnings', { concurrency: 4 }, () => {
  for (const [what, bytes] of [
    ['a record that is no handshake', Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05]), Buffer.from('hello')])],
    ['a record of an impossible length', Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01])],
    ['TLS of another age', Buffer.from([0x16, 0x02, 0x00, 0x00, 0x01, 0x00])],
    ['the hello of SSL 2', Buffer.from([0x80, 0x2e, 0x01, 0x00, 0x02])],
    ['a NUL', Buffer.from([0x00, 0x0d, 0x0a, 0x0d, 0x0a])],
  ]) {
    test(`${what} ends its connection`, async () => {
      const tcp = await Tcp.open(server.port);
      tcp.write(bytes).socket.end();
      await within(tcp.ended, 'the connection ends');
    });
  }

  test('HTTP inside of what began as TLS ends the connection', async () => {
    const tcp = await Tcp.open(server.port);
    tcp.write(Buffer.from([0x16])).write(handshake(server.host, '/dev'));
    await within(tcp.ended, 'the connection ends');
  });

  test('clients that stall in the handshake are ended and hold up nobody', async () => {
    const stalled = await Promise.all(Array.from({ length: 40 }, async (_, index) => {
      const tcp = await Tcp.open(server.port);
      // Nothing at all, the first byte, a part of a hello.
      return tcp.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).subarray(0, [0, 1, 7][index % 3]));
    }));
    const client = await connect(wss(), { ca });
    assert.equal(await client.ask('alive'), 'alive');
    await Promise.all(stalled.map((tcp) => within(tcp.ended, 'a stalled handshake is given up')));
    assert.equal(await client.ask('alive'), 'alive');
    await client.close();
  });
});
