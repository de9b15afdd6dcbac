// Nodes on NATS servers as one has them in production: with TLS on both sides, with who may
// come in, and three of them, one of which ends.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Authority, put } from '../harness/certificates.mjs';
import { Cluster, Nats } from '../harness/cluster.mjs';
import { app, launch } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { join, unique } from '../harness/mqtt.mjs';
import { NKey, Operator } from '../harness/nkeys.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

const at = (node) => `mqtt://127.0.0.1:${node.port}`;

/** Publishes on one node what somebody on the other hears. */
async function crosses([here, there]) {
  const topic = `${unique('crossing')}/x`;
  const [publisher, subscriber] = [await join(at(here)), await join(at(there))];
  await subscriber.subscribe(topic, { qos: 1 });
  await publisher.publish(topic, 'hello', { qos: 1 });
  await eventually(() => subscriber.messages.items.some(({ payload }) => payload === 'hello'), 'the message comes');
  await Promise.all([publisher, subscriber].map((peer) => peer.leave()));
}

/** Posts on one node to who is connected to the other. */
async function reaches([here, there]) {
  const client = await connect(there.url());
  const id = await client.ask('who am I?');
  const { status } = await fetch(`${here.management()}/@connections/${encodeURIComponent(id)}`, { method: 'POST', body: 'hello' });
  assert.equal(status, 200);
  assert.equal(await client.next(), 'hello');
  await client.close();
}

/** Leaves a message on one node, and a session that goes on at the other. */
async function remembers([here, there]) {
  const topic = `${unique('remembered')}/x`;
  const session = { clientId: unique('client'), clean: false, properties: { sessionExpiryInterval: 60 } };
  const gone = await join(at(here), session);
  await gone.subscribe(topic, { qos: 1 });
  await gone.leave();
  const publisher = await join(at(there));
  await publisher.publish(topic, 'hello', { qos: 1, retain: true });
  const back = await join(at(there), session);
  assert.equal(back.connack.sessionPresent, true);
  assert.equal((await back.next()).payload, 'hello');
  await publisher.subscribe(topic, { qos: 1 });
  assert.equal((await publisher.next()).retain, true);
  await back.leave({ properties: { sessionExpiryInterval: 0 } });
  await publisher.leave();
}

/** What `fanwire serve` says of `[cluster]` settings that it does not start with. */
async function refusal(settings) {
  const config = path.join(temporaryFolder('refused'), 'fanwire.serve.toml');
  writeFileSync(config, ['[access]', 'allow_anonymous = ["connections", "mqtt"]', '[cluster]', 'lease = "2s"', ...settings].join('\n'));
  const args = ['serve', app('cluster'), '--config', config, '--listen', '127.0.0.1:0', '--data', temporaryFolder('data')];
  const { status, stderr } = await launch(args).exited;
  assert.notEqual(status, 0);
  return stderr;
}

describe('A NATS server that asks who comes', () => {
  const folder = temporaryFolder('certificates');
  const password = randomBytes(12).toString('hex');
  const file = (name) => path.join(folder, name);
  let [authority, nats, cluster] = [];
  const settings = (changes = {}) => {
    const said = {
      nats: `tls://localhost:${nats.port}`, user: 'fanwire', password_file: file('password'), 'tls.ca': authority.file,
      'tls.certificate': file('node.crt'), 'tls.key': file('node.key'), ...changes,
    };
    return Object.entries(said).filter(([, value]) => value !== undefined).map(([key, value]) => `${key} = "${value}"`);
  };

  before(async () => {
    authority = await Authority.make('NATS');
    await put(folder, await authority.issue(['localhost', '127.0.0.1']), 'nats');
    await put(folder, await authority.issue(['node'], { client: true }), 'node');
    writeFileSync(file('password'), `${password}\n`);
    nats = await Nats.start([
      `tls { cert_file: "${file('nats.crt')}", key_file: "${file('nats.key')}", ca_file: "${authority.file}", verify: true }`,
      `authorization { user: fanwire, password: "${password}" }`,
    ]);
    cluster = await Cluster.start(2, { nats, settings: settings() });
  });
  after(() => cluster?.stop());

  test('has nodes with a certificate, a user and a password work together', async () => {
    await crosses(cluster.nodes);
  });

  test('refuses a wrong password, and the node says so', async () => {
    writeFileSync(file('wrong'), 'guessed');
    const why = await refusal(settings({ password_file: file('wrong') }));
    assert.match(why, /cluster/);
    assert.match(why, /authoriz|password/i);
  });

  test('is not believed without its authority, and does not believe a node without a certificate', async () => {
    assert.match(await refusal(settings({ 'tls.ca': undefined })), /certificate/i);
    const why = await refusal(settings({ 'tls.certificate': undefined, 'tls.key': undefined }));
    assert.match(why, /cluster\.nats|NATS/);
  });
});

test('A NATS server that asks for a token has nodes with it work together', async () => {
  const token = randomBytes(12).toString('hex');
  const nats = await Nats.start([`authorization { token: "${token}" }`]);
  const cluster = await Cluster.start(2, { nats, settings: [`nats = "${nats.url}"`, `token = "${token}"`] });
  await crosses(cluster.nodes);
  await cluster.stop();
});

describe('A NATS server that knows nodes by the NKey of their user', () => {
  const folder = temporaryFolder('nkeys');
  const user = new NKey('user');
  let [nats, cluster] = [];
  const settings = (seed) => {
    const file = path.join(folder, unique('key'));
    writeFileSync(file, `${seed}\n`);
    return [`nats = "${nats.url}"`, `nkey_file = "${file}"`];
  };

  before(async () => {
    nats = await Nats.start([`authorization { users: [{ nkey: ${user.public} }] }`]);
    cluster = await Cluster.start(2, { nats, settings: settings(user.seed) });
  });
  after(() => cluster?.stop());

  test('has nodes with its seed work together', async () => {
    await crosses(cluster.nodes);
    await reaches(cluster.nodes);
  });

  for (const [what, seed, why] of [
    ['that of another user', new NKey('user').seed, /authorization violation/],
    ['the public key', user.public, /seed/],
    ['no key at all', 'guessed', /seed/],
  ]) {
    test(`refuses a node whose file has ${what}, and the node says so`, async () => {
      const said = await refusal(settings(seed));
      assert.match(said, why);
      assert.match(said, /nkey_file/);
      assert.doesNotMatch(said, new RegExp(seed));
    });
  }
});

describe('A NATS server that believes an operator', () => {
  const folder = temporaryFolder('credentials');
  const operator = new Operator();
  let [nats, cluster] = [];
  const settings = (credentials, url = nats.url) => {
    const file = path.join(folder, `${unique('node')}.creds`);
    writeFileSync(file, credentials);
    return [`nats = "${url}"`, 'name = "chat"', `credentials = "${file}"`];
  };

  before(async () => {
    nats = await Nats.start(operator.lines);
    // What docs/cluster.md says that a node needs, and nothing else.
    const records = ['nodes', 'connections', 'sessions', 'retained'].map((bucket) => `$KV.fw_chat_${bucket}.>`);
    const subjects = ['fw.chat.>', '$JS.API.>', ...records, '_INBOX.>'];
    cluster = await Cluster.start(2, { nats, settings: settings(operator.credentials({ subjects })) });
  });
  after(() => cluster?.stop());

  test('has nodes with its credentials work together, with no more permissions than they need', async () => {
    await crosses(cluster.nodes);
    await reaches(cluster.nodes);
    await remembers(cluster.nodes);
    assert.doesNotMatch(nats.output, /Permissions Violation|Publish Violation|Subscription Violation/);
  });

  for (const [what, credentials] of [
    ['of an account of another operator', new Operator().credentials()],
    ['with the seed of another user', operator.credentials({ seed: new NKey('user').seed })],
    ['that are over', operator.credentials({ exp: 1_000_000_000 })],
  ]) {
    test(`refuses a node with credentials ${what}, and the node says so`, async () => {
      const said = await refusal(settings(credentials));
      assert.match(said, /authorization violation/);
      assert.match(said, /`credentials`|node-\w+\.creds/);
    });
  }

  test('has a node say which permission it lacks', async () => {
    const subjects = ['fw.chat.>', '$JS.API.>', '_INBOX.>'];
    const said = await refusal(settings(operator.credentials({ subjects })));
    assert.match(said, /permissions violation/i);
    assert.match(said, /\$KV\.fw_chat_nodes/);
  });

  for (const [what, credentials] of [
    ['no credentials', 'guessed'],
    ['a token and no seed', operator.credentials().split('\n\n')[0]],
    ['a seed that is none', operator.credentials({ seed: 'SUGUESSED' })],
  ]) {
    test(`a node whose file has ${what} says which file that is`, async () => {
      assert.match(await refusal(settings(credentials)), /credentials for NATS in .*\.creds: /);
    });
  }

  test('has to let the account use JetStream', async () => {
    const without = new Operator({ jetstream: false });
    const other = await Nats.start(without.lines);
    const said = await refusal(settings(without.credentials(), other.url));
    assert.match(said, /NATS has no JetStream for this node: .*enable it for the account/);
    await other.kill();
  });
});

test('Of three NATS servers one may end: nothing acknowledged is lost', async () => {
  const servers = await Promise.all([1, 2, 3].map(() => Nats.prepare()));
  const routes = await Promise.all(servers.map(async () => (await Nats.prepare()).port));
  const urls = routes.map((port) => `nats://127.0.0.1:${port}`);
  servers.forEach((nats, n) => nats.configure([
    `server_name: nats-${n}`,
    `cluster { name: three, listen: "127.0.0.1:${routes[n]}", routes: [${urls.map((url) => `"${url}"`).join(', ')}] }`,
  ]));
  await Promise.all(servers.map((nats) => nats.run()));
  const cluster = await Cluster.start(2, { nats: servers[0], lease: '6s', settings: [`nats = ${JSON.stringify(servers.map(({ url }) => url))}`, 'replicas = 3'] });
  const [publisher, subscriber] = [await join(at(cluster.nodes[0])), await join(at(cluster.nodes[1]))];
  await subscriber.subscribe('three/#', { qos: 1 });
  const acknowledged = [];
  const publish = async (to) => {
    for (let n = acknowledged.length; n < to; n += 1) {
      await publisher.publish('three/x', String(n), { qos: 1 });
      acknowledged.push(String(n));
    }
  };
  await publish(20);
  await servers[2].kill();
  await publish(60);
  const got = () => new Set(subscriber.messages.items.map(({ payload }) => payload));
  await eventually(() => acknowledged.every((payload) => got().has(payload)), 'all that was acknowledged has come');
  await Promise.all([publisher, subscriber].map((peer) => peer.leave()));
  await cluster.stop();
  await servers[1].kill();
});

test('A NATS server that has lost its disk has the nodes keep what comes then, without a start of theirs', { timeout: 120_000 }, async () => {
  const cluster = await Cluster.start(2);
  await remembers(cluster.nodes);
  const connected = await Promise.all(cluster.nodes.map((node) => join(at(node))));
  await cluster.nats.loseDisk();
  await Promise.all(connected.map(({ closed }) => within(closed, 'a node closes what it had')));
  await remembers(cluster.nodes);
  await remembers(cluster.nodes.toReversed());
  await reaches(cluster.nodes);
  await cluster.stop();
});
