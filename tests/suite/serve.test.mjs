// `fanwire serve`: where it listens, whom it believes, and how it leaves.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import http2 from 'node:http2';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { join } from '../harness/mqtt.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { freePort } from '../harness/port.mjs';
import { Tcp } from '../harness/raw.mjs';
import { connect, refused } from '../harness/websocket.mjs';

/** A folder with a certificate for `localhost`, and settings in it. */
function settings(text, certificate = false) {
  const folder = temporaryFolder('serve');
  if (certificate) {
    const to = (name) => path.join(folder, name);
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-keyout', to('key.pem'), '-out', to('cert.pem'), '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    ], { stdio: 'pipe' });
  }
  const file = path.join(folder, 'fanwire.serve.toml');
  writeFileSync(file, text);
  return { folder, file };
}

/** Serves with settings that have their listeners; their places, in order. */
async function served(text, { certificate = false, name = 'cluster', env = {}, data, target = app(name) } = {}) {
  const { folder, file } = settings(text, certificate);
  const server = await start(target, { command: 'serve', args: ['--config', file, ...(data ? ['--data', data] : [])], env, listen: false });
  return Object.assign(server, { folder, places: server.ready.listeners });
}

const ANY = 'address = "127.0.0.1:0"\ntls = false\n';
/** What the app needs that lets anybody in. */
const OPEN = '[access]\nallow_anonymous = ["mqtt"]\n';
const CONNECTIONS_OPEN = '[access]\nallow_anonymous = ["connections", "mqtt"]\n';

/** What the app's handler knows of a client. */
const contextOf = async (client) => JSON.parse(await client.ask('context'));

describe('listeners', () => {
  let server;
  before(async () => {
    server = await served([
      'trusted_proxies = ["127.0.0.0/8"]',
      `[[listen]]\n${ANY}`,
      '[[listen]]\naddress = "127.0.0.1:0"',
      '[[listen]]\nunix = "f.sock"\ntls = false',
      `[[listen]]\n${ANY}proxy_protocol = true`,
      '[[tls.certificates]]\ncertificate = "cert.pem"\nkey = "key.pem"',
      '[domains."ws.example.org"]',
      CONNECTIONS_OPEN,
    ].join('\n'), { certificate: true });
  });
  after(() => server.stop());

  const ca = () => readFileSync(path.join(server.folder, 'cert.pem'));
  const port = (nth) => Number(server.places[nth].split(':')[1]);

  test('are those of the settings, told in their order', () => {
    assert.equal(server.places.length, 4);
    assert.match(server.places[2], /^unix:.*f\.sock$/);
    assert.equal(server.ready.port, port(0));
  });

  test('with certificates speak TLS and nothing else', async () => {
    const client = await connect(`wss://localhost:${port(1)}/dev`, { ca: ca() });
    assert.match(await client.ask('who am I?'), /=$/);
    await client.close();
    await assert.rejects(connect(`ws://127.0.0.1:${port(1)}/dev`));
    const session = http2.connect(`https://localhost:${port(1)}`, { ca: ca() });
    const stream = session.request({ ':path': '/ping' });
    const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
    assert.equal(await within(status, 'an answer in HTTP/2'), 200);
    session.close();
  });

  test('may be Unix sockets, as proxies on the same machine like them', async () => {
    const socket = path.join(server.folder, 'f.sock');
    const client = await connect(`ws+unix:${socket}:/dev`);
    assert.equal((await contextOf(client)).identity.sourceIp, '127.0.0.1');
    await client.close();
  });

  for (const [version, header] of [
    ['1', Buffer.from('PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n')],
    ['2', Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'latin1'), Buffer.from([203, 0, 113, 9, 192, 0, 2, 1, 18, 103, 1, 187])])],
  ]) {
    test(`behind a PROXY header of version ${version} know who the client is`, async () => {
      const client = await connect(`ws://127.0.0.1:${port(3)}/dev`, {
        createConnection: (options) => {
          const socket = net.connect(options);
          socket.write(header);
          return socket;
        },
      });
      assert.equal((await contextOf(client)).identity.sourceIp, '203.0.113.9');
      await client.close();
    });
  }

  test('behind a PROXY header refuse who has none', async () => {
    await assert.rejects(connect(`ws://127.0.0.1:${port(3)}/dev`));
  });

  test('believe a trusted proxy for its client, its scheme and its port', async () => {
    const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' };
    const client = await connect(`ws://127.0.0.1:${port(0)}/dev`, { headers });
    assert.equal((await contextOf(client)).identity.sourceIp, '203.0.113.9');
    await client.close();
  });

  test('serve an API by the name of a host, without its stage', async () => {
    const headers = { host: 'ws.example.org' };
    const client = await connect(`ws://127.0.0.1:${port(0)}/`, { headers });
    const { connectionId, domainName } = await contextOf(client);
    assert.equal(domainName, 'ws.example.org');
    const sdk = new ApiGatewayManagementApiClient({
      endpoint: `http://127.0.0.1:${port(0)}`, region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
    sdk.middlewareStack.add((next) => (args) => {
      args.request.headers.host = 'ws.example.org';
      return next(args);
    }, { step: 'build' });
    await sdk.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'hello' }));
    assert.equal(await client.next(), 'hello');
    await client.close();
  });
});

test('listeners may be at all addresses of a port and at one of them', async () => {
  const port = await freePort();
  const at = (address) => `[[listen]]\naddress = "${address}:${port}"\ntls = false\n`;
  const server = await served(`${at('0.0.0.0')}${at('127.0.0.1')}${OPEN}`);
  const client = await connect(server.url());
  await client.close();
  await server.stop();
});

test('functions and commands do not count among the connections of an address', async () => {
  const server = await served(`[[listen]]\n${ANY}\n${OPEN}[limits]\nmax_connections_per_address = 1\n`);
  const { port } = JSON.parse(readFileSync(path.join(server.data, 'dev.json'), 'utf8'));
  const asked = await Promise.all(Array.from({ length: 3 }, () => Tcp.open(port)));
  for (const tcp of asked) assert.equal((await tcp.write('GET /ping HTTP/1.1\r\nhost: h\r\n\r\n').head()).status, 200);
  const client = await connect(server.url());
  assert.equal((await refused(server.url())).status, 429);
  await client.close();
  asked.forEach((tcp) => tcp.destroy());
  await server.stop();
});

describe('who is no trusted proxy', () => {
  let server;
  before(async () => {
    server = await served(`trusted_proxies = ["10.0.0.0/8"]\n[[listen]]\n${ANY}\n${OPEN}`);
  });
  after(() => server.stop());

  test('is not believed', async () => {
    const client = await connect(server.url(), { headers: { 'x-forwarded-for': '203.0.113.9' } });
    assert.equal((await contextOf(client)).identity.sourceIp, '127.0.0.1');
    await client.close();
  });

  test('may not call what asks for a key', async () => {
    const status = await new Promise((resolve) => {
      http.get(`http://${server.host}/dev/@connections/AAAAAAAAAAAAAAA=`, ({ statusCode }) => resolve(statusCode));
    });
    assert.equal(status, 403);
  });
});

describe('leaving', () => {
  test('spreads goodbyes in the way of each protocol, tells the app, and ends with 0', async () => {
    const ends = path.join(temporaryFolder('ends'), 'ends');
    writeFileSync(ends, '');
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}[drain]\nwindow = "1s"\ngrace = "10s"\n`, { env: { ENDS: ends } });
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(server.url())));
    const ids = await Promise.all(clients.map((client) => client.ask('who am I?')));
    const peer = await join(`mqtt://${server.host}`);
    const farewell = peer.packets.find(({ cmd }) => cmd === 'disconnect', 'DISCONNECT');
    server.child.kill('SIGTERM');
    const closes = await Promise.all(clients.map(({ closed }) => within(closed, 'the connection is closed')));
    assert.deepEqual(new Set(closes.map(({ code, reason }) => `${code} ${reason}`)), new Set(['1001 Going away']));
    const { reasonCode, properties } = await farewell;
    assert.equal(reasonCode, 0x8b);
    assert.match(properties.reasonString, /connect again/);
    assert.equal((await within(server.exited, 'the server ends')).code, 0);
    const told = readFileSync(ends, 'utf8').split('\n').filter(Boolean);
    assert.deepEqual(told.sort(), ids.sort());
  });

  test('lets nobody in any more, and a second signal ends it at once', async () => {
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}[drain]\nwindow = "60s"\ngrace = "60s"\n`);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(server.url())));
    server.child.kill('SIGTERM');
    await eventually(
      () => refused(server.url()).then(() => true, (error) => error.code === 'ECONNREFUSED'),
      'nobody is let in',
    );
    server.child.kill('SIGTERM');
    const { code } = await within(server.exited, 'the server ends at once');
    assert.equal(code, 130);
    clients.forEach(({ socket }) => socket.terminate());
  });

  test('leaves its address to one that is there already, where the app keeps nothing', async () => {
    const first = await served(`[[listen]]\n${ANY}\n[drain]\nwindow = "1s"\n`, { name: 'contract' });
    const old = await connect(first.url());
    const again = { name: 'contract', data: first.data };
    const second = await served(`[[listen]]\naddress = "127.0.0.1:${first.port}"\ntls = false\n`, again);
    first.child.kill('SIGTERM');
    assert.equal((await within(old.closed, 'the old one says goodbye')).code, 1001);
    assert.equal((await within(first.exited, 'the old one ends')).code, 0);
    const client = await connect(second.url());
    await client.close();
    await second.stop();
  });
});

describe('a signal to read everything again', () => {
  const lines = (server, pattern) => server.events.find(({ type, text }) => type === 'news' && pattern.test(text), String(pattern));

  test('has new settings hold, and keeps connections', async () => {
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}`);
    const client = await connect(server.url());
    const config = path.join(server.folder, 'fanwire.serve.toml');
    const headers = { host: 'ws.example.org' };
    await assert.rejects(connect(`ws://127.0.0.1:${server.port}/@connections`, { headers }));
    writeFileSync(config, `trusted_proxies = ["127.0.0.1"]\n[[listen]]\n${ANY}proxy_protocol = true\n${OPEN}[drain]\nwindow = "0s"\n`);
    server.child.kill('SIGHUP');
    await lines(server, /only a restart changes: \[\[listen\]\]/);
    const other = await connect(server.url(), { headers: { 'x-forwarded-for': '203.0.113.9' } });
    assert.equal((await contextOf(other)).identity.sourceIp, '203.0.113.9');
    assert.match(await client.ask('still here?'), /=$/);
    assert.equal((await server.stop()).code, 0);
  });

  test('changes the limits of clients, and keeps who is connected', async () => {
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}`);
    const config = path.join(server.folder, 'fanwire.serve.toml');
    const [one, two] = [await connect(server.url()), await connect(server.url())];
    writeFileSync(config, `[[listen]]\n${ANY}\n${OPEN}[limits]\nmax_connections_per_address = 1\nmax_handshakes = 7\n`);
    server.child.kill('SIGHUP');
    const { text } = await lines(server, /only a restart changes/);
    assert.equal(text, 'only a restart changes: limits.max_handshakes');
    const first = await connect(server.url());
    assert.equal((await refused(server.url())).status, 429);
    for (const client of [one, two, first]) {
      assert.match(await client.ask('still here?'), /=$/);
      await client.close();
    }
    await server.stop();
  });

  /** An app of its own, which may be changed. */
  function copied() {
    const target = temporaryFolder('served');
    cpSync(app('cluster'), target, { recursive: true });
    const file = (name) => path.join(target, name);
    const edit = (name, from, to) => writeFileSync(file(name), readFileSync(file(name), 'utf8').replace(from, to));
    return { target, edit };
  }

  test('has functions run the code that is in its place now', async () => {
    const { target, edit } = copied();
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}`, { target });
    const client = await connect(server.url());
    assert.match(await client.ask('who am I?'), /=$/);
    edit('handlers.js', ': requestContext.connectionId', ': "the new code"');
    server.child.kill('SIGHUP');
    await lines(server, /the app and its settings: read again/);
    await eventually(async () => (await client.ask('who am I?')) === 'the new code', 'the new code answers');
    await client.close();
    await server.stop();
  });

  for (const [what, break_, said] of [
    ["a topic rule's SQL is wrong", ({ edit }) => edit('fanwire.toml', /$/, '\n[realtime.subscribers.wrong]\nsql = "SELECT * FORM \'a\'"\nfunction = "heard"\n'), /FORM/],
    ['the file of keys is gone', ({ keys }) => rmSync(keys), /keys\.toml/],
  ]) {
    test(`changes nothing where ${what}, whatever else has changed`, async () => {
      const { target, edit } = copied();
      const keys = path.join(target, 'keys.toml');
      writeFileSync(keys, '[keys.backend]\nid = "AKIDEXAMPLE"\nsecret = "a secret of some length"\nallow = ["*"]\n');
      const access = `[access]\nkeys_file = ${JSON.stringify(keys)}\nallow_anonymous = ["mqtt"]\n`;
      const server = await served(`[[listen]]\n${ANY}\n${access}`, { target });
      const client = await connect(server.url());
      edit('fanwire.toml', '[functions.message]', '[functions.renamed]');
      edit('fanwire.toml', 'function = "message"', 'function = "renamed"');
      break_({ edit, keys });
      server.child.kill('SIGHUP');
      const { text } = await lines(server, /served on as it was/);
      assert.match(text, said);
      assert.match(await client.ask('still here?'), /=$/);
      await client.close();
      await server.stop();
    });
  }

  test('keeps what was there where the files are wrong, and says where', async () => {
    const server = await served(`[[listen]]\n${ANY}\n${OPEN}`);
    const config = path.join(server.folder, 'fanwire.serve.toml');
    writeFileSync(config, `[drain]\nwindw = "0s"\n${OPEN}`);
    server.child.kill('SIGHUP');
    const { text } = await lines(server, /served on as it was/);
    assert.match(text, /fanwire\.serve\.toml:2:1/);
    const client = await connect(server.url());
    await client.close();
    await server.stop();
  });
});

describe('settings', () => {
  test('have secrets in variables that no function gets', async () => {
    const target = temporaryFolder('served');
    cpSync(app('cluster'), target, { recursive: true });
    const handlers = path.join(target, 'handlers.js');
    const shown = '["SECRET", "TOKEN", "NOTIFY_SOCKET", "OTHER"].map((name) => process.env[name] ?? "none").join()';
    writeFileSync(handlers, readFileSync(handlers, 'utf8').replace(': requestContext.connectionId', `: ${shown}`));
    const keys = path.join(target, 'keys.toml');
    writeFileSync(keys, '[tokens.ops]\ntoken = "${env:TOKEN}"\nallow = ["fanwire:Read"]\n');
    const key = '[access.keys.a]\nid = "AKIDEXAMPLE"\nsecret = "${env:SECRET}"\nallow = ["*"]\n';
    const access = `[access]\nkeys_file = ${JSON.stringify(keys)}\nallow_anonymous = ["mqtt"]\n${key}`;
    const secret = 'a secret of some length';
    const env = { SECRET: secret, TOKEN: secret, NOTIFY_SOCKET: path.join(target, 'nobody'), OTHER: 'x' };
    const server = await served(`[[listen]]\n${ANY}\n${access}`, { target, env });
    const client = await connect(server.url());
    assert.equal(await client.ask('what do you see?'), 'none,none,none,x');
    await client.close();
    await server.stop();
  });

  test('have to name a broker that lets anybody in', async () => {
    const { file } = settings('');
    const { status, stderr } = await fanwire(['serve', app('cluster'), '--config', file, '--data', temporaryFolder('data')]);
    assert.equal(status, 2);
    assert.match(stderr, /allow_anonymous = \["mqtt"\]/);
  });

  for (const [what, text, said] of [
    ['a key that there is not', '[drain]\nwindw = "1s"\n', /unknown key `windw`[\s\S]*fanwire\.serve\.toml:2:1[\s\S]*`window`/],
    ['a listener without a place', '[[listen]]\ntls = false\n', /either an address or a Unix socket[\s\S]*:1:/],
    ['a domain of an API that there is not', '[domains."a.b"]\napi = "dev-cluster-websocket"\n', /which the app has not; it has `dev-cluster-websockets`/],
    ['a proxy that is no network', 'trusted_proxies = ["10.0.0/8"]\n', /`10\.0\.0\/8` is neither an address nor a network/],
    ['a certificate that is not there', '[[tls.certificates]]\ncertificate = "a.pem"\nkey = "b.pem"\n', /a\.pem/],
    ['TLS without certificates', `[[listen]]\naddress = "127.0.0.1:0"\ntls = true\n`, /no certificates; say in \[tls\] where they are/],
  ]) {
    test(`with ${what} are refused with what to do`, async () => {
      const { file } = settings(`${text}${OPEN}`);
      const data = temporaryFolder('data');
      const { status, stderr } = await fanwire(['serve', app('cluster'), '--config', file, '--data', data]);
      assert.notEqual(status, 0);
      assert.match(stderr, said);
    });
  }
});
