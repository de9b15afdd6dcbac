// The commands that talk with the realtime endpoint of a running dev: publish, subscribe,
// sessions, retained, policy; and password.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { app, fanwire, launch, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { ARN, allow, deny, enter, saying, startIot } from '../harness/iot.mjs';
import { broker, join, unique } from '../harness/mqtt.mjs';
import { eventually, within } from '../harness/patience.mjs';

let server;
let iot;
before(async () => {
  [server, iot] = await Promise.all([broker('realtime'), startIot()]);
});
after(() => Promise.all([server.stop(), iot.stop()]));

/** Runs a command against the server with the standard's ways, or against another. */
const ask = (...args) => fanwire([...args, '--data', server.data]);
const askIot = (...args) => fanwire([...args, '--data', iot.data]);

/** Runs `fanwire subscribe` and returns once it listens. */
async function subscribing(...args) {
  const launched = launch(['subscribe', ...args, '--data', server.data]);
  await eventually(() => launched.stderr.includes('subscribed to'), 'it has subscribed');
  return launched;
}

describe('publish', { concurrency: true }, () => {
  test('sends a message with all that MQTT 5 has', async () => {
    const topic = unique('topic');
    const peer = await join(server.tcp, { protocolVersion: 5 });
    await peer.subscribe(`${topic}/#`);
    const published = await ask(
      'publish', `${topic}/a`, '{"x":1}', '--qos', '1', '--content-type', 'application/json',
      '--response-topic', 'answers', '--correlation-data', 'abc', '--expiry', '1m', '-p', 'k=1', '-p', 'k=2',
    );
    assert.equal(published.status, 0, published.stderr);
    const packet = await peer.next();
    assert.equal(packet.payload, '{"x":1}');
    assert.equal(packet.qos, 1);
    assert.equal(packet.properties.contentType, 'application/json');
    assert.equal(packet.properties.responseTopic, 'answers');
    assert.equal(packet.properties.correlationData.toString(), 'abc');
    assert.ok(packet.properties.messageExpiryInterval <= 60);
    assert.deepEqual(packet.properties.userProperties.k, ['1', '2']);
    await peer.leave();
  });

  test('takes a payload from standard input as it is', async () => {
    const topic = unique('topic');
    const peer = await join(server.tcp);
    await peer.subscribe(topic);
    const bytes = new Promise((resolve) => { peer.client.once('message', (_, payload) => resolve([...payload])); });
    const publishing = launch(['publish', topic, '-', '--data', server.data], { input: Buffer.from([0xff, 0, 0x0a]) });
    assert.equal((await publishing.exited).status, 0);
    assert.deepEqual(await within(bytes, 'the message'), [0xff, 0, 0x0a]);
    await peer.leave();
  });

  test('says why a topic is none, and that an app has no endpoint', async () => {
    const wrong = await ask('publish', 'a/#', 'x');
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /cannot be published to/);
    const other = await start(app('echo'));
    const none = await fanwire(['publish', 'a', 'x', '--data', other.data]);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /declare one with a \[realtime\] table/);
    await other.stop();
  });
});

describe('subscribe', { concurrency: true }, () => {
  test('prints each message once, with its payload laid out', async () => {
    const topic = unique('topic');
    const subscriber = await subscribing(`${topic}/#`, `${topic}/+`, '--count', '2');
    const peer = await join(server.tcp, { clientId: unique('client') });
    await peer.publish(`${topic}/a`, '{"hello":"you"}', { qos: 1 });
    await peer.publish(`${topic}/a/b`, 'plain', { qos: 1 });
    const { status, stdout } = await subscriber.exited;
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`${topic}/a qos 1 from ${peer.id}.*\n\\{"hello": "you"\\}\n.*${topic}/a/b qos 1.*\nplain\n$`));
    await peer.leave();
  });

  test('prints JSON for programs', async () => {
    const topic = unique('topic');
    const subscriber = await subscribing(topic, '--json', '--count', '2');
    await ask('publish', topic, 'text', '--retain');
    const publishing = launch(['publish', topic, '-', '--data', server.data], { input: Buffer.from([0xff]) });
    await publishing.exited;
    const { stdout } = await subscriber.exited;
    const [text, bytes] = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual([text.topic, text.text, text.retain], [topic, 'text', true]);
    assert.deepEqual([bytes.base64, bytes.text], ['/w==', undefined]);
  });

  test('fails where fewer messages come than are waited for', async () => {
    const { status, stderr } = await ask('subscribe', unique('nothing'), '--count', '1', '--timeout', '100ms');
    assert.equal(status, 1);
    assert.match(stderr, /0 of 1 messages/);
    const wrong = await ask('subscribe', 'a#', '--count', '1');
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /not a topic filter/);
  });
});

describe('sessions', { concurrency: true }, () => {
  test('are listed and shown, connected or not', async () => {
    const clientId = unique('client');
    const peer = await join(server.ws, { clientId, protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3600 } });
    await peer.subscribe('some/+/filter', { qos: 1 });
    const here = JSON.parse((await ask('sessions', '--json')).stdout).find((session) => session.clientId === clientId);
    assert.deepEqual([here.connected, here.protocol], [true, 'MQTT 5 over WebSocket']);
    assert.match((await ask('sessions')).stdout, new RegExp(`CLIENT[^]*${clientId}.*connected.*127\\.0\\.0\\.1`));
    await peer.leave();
    await ask('publish', 'some/new/filter', 'x', '--qos', '1');
    const shown = (await ask('sessions', 'show', clientId)).stdout;
    assert.match(shown, /state +away/);
    assert.match(shown, /ended by +CLIENT_INITIATED_DISCONNECT/);
    assert.match(shown, /subscribes +some\/\+\/filter \(qos 1\)/);
    assert.match(shown, /waiting +1/);
  });

  test('are disconnected, and their wills published or not', async () => {
    const will = (topic) => ({ topic, payload: Buffer.from('gone'), qos: 1 });
    const [loud, quiet] = [unique('loud'), unique('quiet')];
    const subscriber = await subscribing(loud, quiet, '--json', '--count', '2');
    for (const [clientId, args] of [[quiet, ['--no-will']], [loud, ['--clean']]]) {
      const peer = await join(server.tcp, { clientId, will: will(clientId) });
      assert.equal((await ask('sessions', 'disconnect', clientId, ...args)).status, 0);
      await eventually(() => !peer.client.connected, 'the client is disconnected');
      peer.drop();
    }
    await ask('publish', quiet, 'the end');
    const messages = (await subscriber.exited).stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(messages.map(({ topic, text }) => [topic, text]), [[loud, 'gone'], [quiet, 'the end']]);
    const again = await ask('sessions', 'disconnect', loud);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /no client/);
  });
});

test('retained messages are listed, found by a filter, and deleted', async () => {
  const topic = unique('state');
  await ask('publish', `${topic}/1`, '{"on":true}', '--retain', '--qos', '1');
  await ask('publish', `${topic}/2`, 'off', '--retain');
  const listed = (await ask('retained')).stdout;
  assert.match(listed, new RegExp(`TOPIC[^]*${topic}/1 +1 +\\d+s ago +\\{"on": true\\}`));
  const found = JSON.parse((await ask('retained', `${topic}/+`, '--json')).stdout);
  assert.deepEqual(found.map((message) => [message.topic, message.text]), [[`${topic}/1`, '{"on":true}'], [`${topic}/2`, 'off']]);
  assert.equal((await ask('retained', '--delete', `${topic}/1`)).status, 0);
  assert.deepEqual(JSON.parse((await ask('retained', `${topic}/1`, '--json')).stdout), []);
  const again = await ask('retained', '--delete', `${topic}/1`);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /nothing is retained/);
  assert.equal((await ask('retained', '--delete', `${topic}/+`)).status, 2);
});

describe('policy test', { concurrency: true }, () => {
  const statements = [allow('Publish', 'topic/chat/*'), deny('Publish', 'topic/chat/secret')];

  test('decides by files, without a server', async () => {
    const file = path.join(temporaryFolder('policy'), 'policy.json');
    await writeFile(file, JSON.stringify({ Version: '2012-10-17', Statement: statements.map((each, at) => ({ Sid: `S${at}`, ...each })) }));
    const decide = (...args) => fanwire(['policy', 'test', ...args, '--policy', file]);
    const allowed = await decide('publish', 'chat/room');
    assert.equal(allowed.status, 0, allowed.stderr);
    assert.match(allowed.stdout, /^allowed\n.*statement 1 \(S0\)/);
    const denied = await decide('publish', 'chat/secret');
    assert.equal(denied.status, 1);
    assert.match(denied.stdout, /^denied\n.*statement 2 \(S1\)/);
    const nowhere = await decide('subscribe', 'chat/#', '--json');
    assert.equal(nowhere.status, 1);
    const answer = JSON.parse(nowhere.stdout);
    assert.deepEqual([answer.allowed, answer.resource, answer.statement], [false, `${ARN}:topicfilter/chat/#`, null]);
    await writeFile(file, '{"Statement":');
    assert.equal((await decide('publish', 'a')).status, 2);
  });

  test('calls the authorizer of the running dev', async () => {
    const password = saying({ principalId: 'ada' }, ...statements).toString();
    const test = (...args) => askIot('policy', 'test', ...args, '--authorizer', 'told', '--password', password);
    const allowed = await test('publish', 'chat/room');
    assert.equal(allowed.status, 0, allowed.stderr);
    assert.match(allowed.stdout, /^allowed for ada\n/);
    assert.equal((await test('publish', 'chat/secret')).status, 1);
    assert.equal((await test('connect', 'anybody')).status, 0);
    const unknown = await askIot('policy', 'test', 'publish', 'a', '--authorizer', 'nobody');
    assert.equal(unknown.status, 1);
    assert.match(unknown.stdout, /not let in.*there is no authorizer `nobody`/);
  });

  test('gives a signed token to the authorizer that wants one', async () => {
    const args = ['policy', 'test', 'publish', 'a', '--authorizer', 'signed', '--token', 'tick'];
    const signed = await askIot(...args, '--signature', iot.signature('tick'));
    assert.match(signed.stdout, /^allowed for tick\n/);
    const unsigned = await askIot(...args);
    assert.match(unsigned.stdout, /not let in.*signature/);
  });

  test('asks what a client may do that is connected', async () => {
    const clientId = unique('client');
    const peer = await enter(iot, statements, { clientId });
    const test = (topic) => askIot('policy', 'test', 'publish', topic, '--of', clientId);
    assert.equal((await test('chat/room')).status, 0);
    assert.equal((await test('other')).status, 1);
    await peer.leave();
    await eventually(async () => /no client/.test((await test('chat/room')).stderr), 'it is gone');
  });
});

test('password makes a hash that lets its user in', async () => {
  const hashing = launch(['password'], { input: 'open sesame\n' });
  const hash = (await hashing.exited).stdout.trim();
  assert.match(hash, /^\$argon2id\$v=19\$/);
  const folder = temporaryFolder('users');
  await writeFile(path.join(folder, 'fanwire.toml'), `name = "users"\nprofile = "open"\n[realtime.users.ada]\npassword = "${hash}"\npublish = ["ada/*"]\n`);
  const own = await start(folder);
  const test = (topic, password) =>
    fanwire(['policy', 'test', 'publish', topic, '--username', 'ada', '--password', password, '--data', own.data]);
  assert.match((await test('ada/x', 'open sesame')).stdout, /^allowed for ada\n/);
  assert.match((await test('bob/x', 'open sesame')).stdout, /^denied for ada\n/);
  assert.match((await test('ada/x', 'wrong')).stdout, /^not let in/);
  await own.stop();
});

describe('the log', () => {
  test('tells who comes and goes, and why something is denied', async () => {
    const clientId = unique('client');
    const peer = await enter(iot, [allow('Publish', 'topic/chat/*')], { clientId });
    await peer.publish('elsewhere', 'x', { qos: 1 }).catch(() => {});
    peer.drop();
    const { stdout } = await eventually(async () => {
      const logged = await askIot('logs', '--connection', clientId);
      return /denied/.test(logged.stdout) && /disconnected/.test(logged.stdout) && logged;
    }, 'the log has it');
    assert.match(stdout, new RegExp(`connected +${clientId} tester .*authorized in`));
    assert.match(stdout, /iot:Publish on topic\/elsewhere is denied/);
  });

  test('is not for web pages, and neither is the rest', async () => {
    for (const [method, route] of [['POST', 'publish?topic=a'], ['GET', 'subscribe?filter=a'], ['GET', 'sessions'], ['POST', 'policy']]) {
      const status = await new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: server.port, path: `/_fanwire/${route}`, method, headers: { origin: 'http://localhost' } };
        http.request({ ...options, agent: false }, (response) => resolve(response.resume().statusCode)).on('error', reject).end();
      });
      assert.equal(status, 403, route);
    }
  });
});
