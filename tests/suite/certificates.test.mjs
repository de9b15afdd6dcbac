// TLS as a server on a network speaks it: certificates from files, chosen by name, replaced
// while it runs; clients' certificates; versions.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';

import mqtt from 'mqtt';

import { Authority, mount, put } from '../harness/certificates.mjs';
import { app, fanwire } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { within } from '../harness/patience.mjs';
import { serve } from '../harness/serve.mjs';
import { connect } from '../harness/websocket.mjs';

let ca;
before(async () => {
  ca = await Authority.make();
});

const LISTEN = '[[listen]]\naddress = "127.0.0.1:0"\n';
const certificate = (folder, name = 'tls') => (
  `[[tls.certificates]]\ncertificate = "${path.join(folder, `${name}.crt`)}"\nkey = "${path.join(folder, `${name}.key`)}"\n`
);

/** A handshake, and what came of it. */
async function handshake(port, options = {}) {
  const socket = tls.connect({ port, host: '127.0.0.1', ca: ca.pem, servername: 'chat.example.com', ...options });
  try {
    return await within(new Promise((resolve, reject) => {
      socket.on('secureConnect', () => resolve({
        names: socket.getPeerCertificate().subjectaltname,
        serial: socket.getPeerCertificate().serialNumber,
        protocol: socket.getProtocol(),
        alpn: socket.alpnProtocol,
      }));
      socket.on('error', reject);
    }), 'a handshake');
  } finally {
    socket.destroy();
  }
}

describe('certificates in files', () => {
  let folder;
  let server;
  before(async () => {
    folder = temporaryFolder('certificates');
    await put(folder, await ca.issue(['chat.example.com', '*.chat.example.com']));
    await put(folder, await ca.issue(['other.example.org']), 'other');
    server = await serve(app('echo'), `${LISTEN}[tls]\n${certificate(folder)}${certificate(folder, 'other')}`);
  });
  after(async () => {
    assert.equal((await server.stop()).status, 0);
  });

  for (const [name, expected] of [
    ['chat.example.com', 'DNS:chat.example.com, DNS:*.chat.example.com'],
    ['a.chat.example.com', 'DNS:chat.example.com, DNS:*.chat.example.com'],
    ['other.example.org', 'DNS:other.example.org'],
  ]) {
    test(`a client that asks for ${name} gets its certificate`, async () => {
      const { names } = await handshake(server.port, { servername: name });
      assert.equal(names, expected);
    });
  }

  test('a client that asks for another name gets the first', async () => {
    const { names } = await handshake(server.port, { servername: 'third.example.net', checkServerIdentity: () => undefined });
    assert.match(names, /^DNS:chat\.example\.com/);
  });

  test('a WebSocket opens over TLS', async () => {
    const client = await connect(`wss://127.0.0.1:${server.port}/dev`, { ca: ca.pem, servername: 'chat.example.com' });
    await client.close();
  });

  for (const [offered, chosen] of [
    [['h2', 'http/1.1'], 'h2'], [['http/1.1'], 'http/1.1'], [['mqtt'], 'mqtt'], [['x-amzn-mqtt-ca'], 'x-amzn-mqtt-ca'],
  ]) {
    test(`of ${offered} the server chooses ${chosen}`, async () => {
      assert.equal((await handshake(server.port, { ALPNProtocols: offered })).alpn, chosen);
    });
  }

  test('a client that speaks TLS 1.2 is served, and one that speaks 1.1 is not', async () => {
    assert.equal((await handshake(server.port, { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2');
    await assert.rejects(handshake(server.port, { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
  });

  test('a session is resumed by its ticket', async () => {
    const open = (session) => within(new Promise((resolve, reject) => {
      const socket = tls.connect({ port: server.port, host: '127.0.0.1', ca: ca.pem, servername: 'chat.example.com', maxVersion: 'TLSv1.2', session });
      socket.on('secureConnect', () => {
        resolve({ reused: socket.isSessionReused(), session: socket.getSession() });
        socket.destroy();
      });
      socket.on('error', reject);
    }), 'a handshake');
    const first = await open();
    assert.equal(first.reused, false);
    assert.equal((await open(first.session)).reused, true);
  });
});

describe('certificates that change', { concurrency: 3 }, () => {
  test('a Secret that Kubernetes swaps is presented, and connections stay', async () => {
    const folder = temporaryFolder('certificates');
    await mount(folder, await ca.issue(['chat.example.com']), '1');
    const server = await serve(app('echo'), `${LISTEN}[tls]\n${certificate(folder)}`);
    const client = await connect(`wss://127.0.0.1:${server.port}/dev`, { ca: ca.pem, servername: 'chat.example.com' });
    const { serial } = await handshake(server.port);
    await mount(folder, await ca.issue(['chat.example.com']), '2');
    await server.said('it is presented for chat.example.com');
    assert.notEqual((await handshake(server.port)).serial, serial);
    await client.close();
    await server.stop();
  });

  test('a file that is broken is told of, and the certificate of before is kept', async () => {
    const folder = temporaryFolder('certificates');
    await put(folder, await ca.issue(['chat.example.com']));
    const server = await serve(app('echo'), `${LISTEN}[tls]\n${certificate(folder)}`);
    const { serial } = await handshake(server.port);
    await writeFile(path.join(folder, 'tls.key'), 'not a key\n');
    const said = await server.said('what was there before is still in use');
    assert.match(said, /tls\.key: there is no private key/);
    assert.equal((await handshake(server.port)).serial, serial);
    await server.stop();
  });

  test('a certificate that ends soon is told of', async () => {
    const folder = temporaryFolder('certificates');
    await put(folder, await ca.issue(['chat.example.com'], { days: 3 }));
    const server = await serve(app('echo'), `${LISTEN}[tls]\n${certificate(folder)}`);
    await server.said('the certificate for chat.example.com ends at');
    await server.stop();
  });
});

describe('clients with certificates', { concurrency: 3 }, () => {
  const settings = (folder, rest) => (
    `${LISTEN}[tls]\nclient_ca = "${path.join(folder, 'clients.pem')}"\n${rest}\n${certificate(folder)}`
  );

  test('who has none, or another authority\'s, is refused', async () => {
    const [folder, clients] = [temporaryFolder('certificates'), await Authority.make('Clients')];
    await put(folder, await ca.issue(['chat.example.com']));
    await writeFile(path.join(folder, 'clients.pem'), clients.pem);
    const server = await serve(app('echo'), settings(folder, ''));
    // In TLS 1.3 a client has done its part before the server refuses it.
    const strict = { maxVersion: 'TLSv1.2' };
    await assert.rejects(handshake(server.port, strict));
    await assert.rejects(handshake(server.port, { ...strict, ...await ca.issue(['device-1'], { client: true }) }));
    await handshake(server.port, { ...strict, ...await clients.issue(['device-1'], { client: true }) });
    // Another authority takes the place of the first.
    const others = await Authority.make('Others');
    await writeFile(path.join(folder, 'clients.pem'), others.pem);
    await server.said('clients.pem has changed');
    await handshake(server.port, { ...strict, ...await others.issue(['device-2'], { client: true }) });
    await assert.rejects(handshake(server.port, { ...strict, ...await clients.issue(['device-1'], { client: true }) }));
    await server.stop();
  });

  test('where it is optional, who has none is served', async () => {
    const folder = temporaryFolder('certificates');
    await put(folder, await ca.issue(['chat.example.com']));
    await writeFile(path.join(folder, 'clients.pem'), ca.pem);
    const server = await serve(app('echo'), settings(folder, 'client_certificates = "optional"\nmin_version = "1.3"'));
    assert.equal((await handshake(server.port)).protocol, 'TLSv1.3');
    await assert.rejects(handshake(server.port, { maxVersion: 'TLSv1.2' }));
    await server.stop();
  });
});

test('MQTT is spoken over TLS on the same port', async () => {
  const folder = temporaryFolder('certificates');
  await put(folder, await ca.issue(['chat.example.com']));
  const server = await serve(app('realtime'), `${LISTEN}[tls]\n${certificate(folder)}[access]\nallow_anonymous = ["mqtt"]\n`);
  const client = mqtt.connect({
    protocol: 'mqtts', host: '127.0.0.1', port: server.port, ca: ca.pem, servername: 'chat.example.com',
    ALPNProtocols: ['mqtt'], username: 'fanwire', reconnectPeriod: 0,
  });
  await within(new Promise((resolve) => {
    // What it may do is not the question here: that it is answered is.
    client.on('connect', resolve).on('error', ({ code }) => typeof code === 'number' && resolve());
  }), 'an answer to CONNECT');
  client.end(true);
  await server.stop();
});

test('a certificate that cannot be used is refused at the start, with its file', async () => {
  const folder = temporaryFolder('certificates');
  await put(folder, { ...await ca.issue(['a.example.com']), key: (await ca.issue(['b.example.com'])).key });
  const config = path.join(folder, 'fanwire.serve.toml');
  await writeFile(config, `${LISTEN}[tls]\n${certificate(folder)}`);
  const { status, stderr } = await fanwire(['serve', app('echo'), '--config', config, '--data', temporaryFolder('data')]);
  assert.notEqual(status, 0);
  assert.match(stderr, /tls\.crt: the certificate and the key do not belong together/);
});
