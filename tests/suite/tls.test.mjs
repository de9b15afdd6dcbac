// TLS on the server's one port: wss and https beside ws and http, from clients and
// handlers that know no more than whom to trust.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
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
