// The examples, as they are, with what their README tells a reader to type.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';

import { ROOT, example, launch, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect, refused } from '../harness/websocket.mjs';

/** Starts an example for the tests of one group. */
function running(name, options) {
  const held = {};
  before(async () => {
    held.server = await start(example(name), options);
  });
  after(() => held.server?.stop());
  return (suffix) => held.server.url(suffix);
}

describe('the chat example', () => {
  const url = running('chat');

  test('tells everyone what anyone says, who came and who left', async () => {
    const ada = await connect(url('?name=Ada'));
    const grace = await connect(url('?name=Grace'));
    assert.deepEqual(await ada.json(), { joined: 'Grace' });
    ada.send({ action: 'say', text: 'hello' });
    assert.deepEqual(await ada.json(), { from: 'Ada', text: 'hello' });
    assert.deepEqual(await grace.json(), { from: 'Ada', text: 'hello' });
    assert.deepEqual(JSON.parse(await ada.ask({ action: 'name', name: 'Countess' })), { you: 'Countess' });
    grace.send({ action: 'say', text: 'hi' });
    assert.deepEqual(await ada.json(), { from: 'Grace', text: 'hi' });
    assert.deepEqual(await grace.json(), { from: 'Grace', text: 'hi' });
    assert.deepEqual(
      JSON.parse(await ada.ask('what now?')),
      { try: [{ action: 'name', name: 'Ada' }, { action: 'say', text: 'hello' }] },
    );
    await ada.close();
    assert.deepEqual(await grace.json(), { left: 'Countess' });
    await grace.close();
  });
});

test('the chat example keeps its people through a kill, and forgets those who are gone when it meets them', async () => {
  const args = ['--data', temporaryFolder('chat')];
  const killed = await start(example('chat'), { args });
  await connect(killed.url('?name=Ada'));
  await killed.kill();
  const server = await start(example('chat'), { args });
  const table = DynamoDBDocument.from(new DynamoDBClient({
    endpoint: `http://${server.host}`, region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  }));
  const names = async () => (await table.scan({ TableName: 'chat-dev-People' })).Items.map(({ name }) => name);
  try {
    assert.deepEqual(await names(), ['Ada']);
    const grace = await connect(server.url('?name=Grace'));
    grace.send({ action: 'say', text: 'anyone?' });
    assert.deepEqual(await grace.json(), { from: 'Grace', text: 'anyone?' });
    await eventually(async () => (await names()).join() === 'Grace', 'the row of a connection that is gone is removed');
    await grace.close();
  } finally {
    table.destroy();
    await server.stop();
  }
});

describe('the walk from an AWS sample', () => {
  /** What its page shows, as blocks of code. */
  const walk = readFileSync(path.join(ROOT, 'docs/first-app.md'), 'utf8');
  const blocks = [...walk.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].map(([, language, text]) => ({ language, text }));

  test('holds when it is followed to the letter', async () => {
    const folder = temporaryFolder('walk');
    const files = blocks.filter(({ language }) => ['yaml', 'js'].includes(language));
    for (const { text } of files) {
      const [, name] = /^(?:#|\/\/) (\S+)\n/.exec(text);
      writeFileSync(path.join(folder, name), text);
    }
    const [{ text: commands }] = blocks.filter(({ language }) => language === 'sh');
    const [, packages] = /^npm install (.*)$/m.exec(commands);
    // What the walk installs is here already, at pinned versions.
    const modules = path.join(ROOT, 'tests/node_modules');
    for (const name of packages.split(' ')) readFileSync(path.join(modules, name, 'package.json'));
    symlinkSync(modules, path.join(folder, 'node_modules'));
    const server = await start(folder, { args: ['--data', path.join(folder, '.fanwire')] });
    try {
      const other = await connect(server.url());
      const [{ text: session }] = blocks.filter(({ language }) => language === 'console');
      const [, said] = /^> (.*)$/m.exec(session);
      const [, heard] = /^< (.*)$/m.exec(session);
      const { stdout, stderr } = await launch(['send', '--wait', '1'], { cwd: folder, input: `${said}\n` }).exited;
      assert.equal(stdout, `${heard}\n`, stderr);
      assert.equal(await other.next(), heard);
    } finally {
      await server.stop();
    }
  });
});

describe('the authorizer example', { concurrency: true }, () => {
  const url = running('authorizer');
  const token = (user) => execFileSync(process.execPath, [`${example('authorizer')}/token.js`, user]).toString().trim();

  test('lets the bearer of a token in and shows messages who that is', async () => {
    const ada = await connect(url('?room=kitchen'), { headers: { Auth: token('ada') } });
    assert.equal(await ada.ask('hello'), 'ada (staff) in kitchen: hello');
    const grace = await connect(url('?room=hall'), { headers: { Auth: token('grace') } });
    assert.equal(await grace.ask('hello'), 'grace in hall: hello');
    await Promise.all([ada.close(), grace.close()]);
  });

  for (const [what, suffix, headers, status] of [
    ['without a header', '?room=kitchen', {}, 401],
    ['without a room', '', { Auth: token('ada') }, 401],
    ['with a forged token', '?room=kitchen', { Auth: 'ada.forged' }, 401],
    ['where the policy denies', '?room=staff', { Auth: token('grace') }, 403],
  ]) {
    test(`refuses a handshake ${what} with ${status}`, async () => {
      assert.equal((await refused(url(suffix), { headers })).status, status);
    });
  }
});

describe('the Python example', () => {
  const url = running('python', { env: { PATH: `${ROOT}/.cache/venv/bin:${process.env.PATH}` } });

  test('posts its progress and answers with the sum', async () => {
    const client = await connect(url());
    client.send({ action: 'add', numbers: [1, 2, 3] });
    for (const total of [1, 3, 6]) assert.deepEqual(await client.json(), { 'so far': total });
    assert.deepEqual(await client.json(), { sum: 6 });
    assert.deepEqual(JSON.parse(await client.ask('?')), { try: { action: 'add', numbers: [1, 2, 3] } });
    await client.close();
  });
});

describe('the Rust example', () => {
  // The first start builds it.
  const url = running('rust', { patience: 600_000 });

  test('relays by connection id and knows GoneException by its type', async () => {
    const first = await connect(url(), { handshakeTimeout: 600_000 });
    const second = await connect(url());
    const { you } = JSON.parse(await first.ask('who am I?'));
    assert.deepEqual(JSON.parse(await second.ask({ action: 'relay', to: you, text: 'hello' })), { delivered: you });
    const { from, text } = await first.json();
    assert.equal(text, 'hello');
    assert.match(from, /^[A-Za-z0-9_-]{15}=$/);
    await first.close();
    assert.deepEqual(JSON.parse(await second.ask({ action: 'relay', to: you, text: 'hello?' })), { gone: you });
    await second.close();
  });
});

for (const name of ['nitric-chat', 'nitric-chat-v1']) {
  test(`the ${name} example has all others hear what one says, also after a kill`, async () => {
    const args = ['--data', temporaryFolder('chat')];
    const killed = await start(example(name), { args });
    await connect(killed.ready.nitric.sockets[0].url);
    await killed.kill();
    const server = await start(example(name), { args });
    try {
      const url = server.ready.nitric.sockets[0].url;
      const [ada, grace] = [await connect(url), await connect(server.url())];
      ada.send('hello');
      assert.equal(await grace.next(), 'hello');
      grace.send('hi');
      assert.equal(await ada.next('what grace said, and nothing before it'), 'hi');
      await Promise.all([ada.close(), grace.close()]);
    } finally {
      await server.stop();
    }
  });
}

describe('the native example', () => {
  const url = running('native');
  let station;
  before(async () => {
    station = spawn(process.execPath, [`${example('native')}/station.js`], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(station.stdout, 'data');
  });
  after(() => station.kill());

  test('answers from a mock, a function and an HTTP backend', async () => {
    const client = await connect(url());
    assert.equal(await client.ask({ do: 'ping' }), 'pong');
    assert.equal(await client.ask({ do: 'lamp', room: 'kitchen' }), "Ada's lamp in the kitchen is on");
    assert.equal(await client.ask({ do: 'lamp', room: 'kitchen' }), "Ada's lamp in the kitchen is off");
    assert.equal(await client.ask({ do: 'weather' }), 'clear sky, for Ada');
    assert.equal(await client.ask('hello?'), '{"try":[{"do":"ping"},{"do":"lamp","room":"kitchen"},{"do":"weather"}]}');
    await client.close();
  });
});
