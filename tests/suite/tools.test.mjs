// The commands that talk with a running dev: connections, invoke, send, logs; and the
// control API that they ask.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { app, fanwire, launch, start } from '../harness/fanwire.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

let server;
let home;
let env;
before(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'fanwire-home-'));
  env = { FANWIRE_HOME: home };
  server = await start(app('contract'));
});
after(async () => {
  await server.stop();
  await rm(home, { recursive: true });
});

/** Runs a command against the server of these tests. */
const ask = (...args) => fanwire([...args, '--data', server.data], { env });
const launched = (args, options = {}) => launch([...args, '--data', server.data], { env, ...options });

async function identified(options) {
  const client = await connect(server.url(), options);
  const { connectionId } = JSON.parse(await client.ask('who am I'));
  return { client, id: connectionId };
}

/** One GET of the control API. */
const get = (route, headers = {}) =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.port, path: `/_fanwire/${route}`, headers, agent: false };
    http.get(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }));
    }).on('error', reject);
  });

describe('the control API', { concurrency: true }, () => {
  test('says what is served', async () => {
    const { status, body } = await get('app');
    assert.equal(status, 200);
    const served = JSON.parse(body);
    assert.equal(served.name, 'contract');
    assert.equal(served.pid, server.pid);
    assert.equal(served.apis[0].url, `ws://${server.host}/dev`);
    assert.ok(served.apis[0].routes.some(({ key, integration }) => key === 'echo' && integration.function === 'echo'));
    assert.ok(served.functions.some(({ key, name }) => key === 'count' && name === 'contract-dev-count'));
  });

  for (const [what, headers] of [
    ['a web page', { origin: 'http://localhost:3000' }],
    ['a name that a DNS server points here', { host: 'rebound.example:3001' }],
    ['a name that only looks local', { host: 'localhost.rebound.example' }],
  ]) {
    test(`refuses ${what}`, async () => {
      for (const route of ['app', 'connections', 'logs?backlog=1&follow=false', 'traffic']) {
        assert.equal((await get(route, headers)).status, 403, route);
      }
    });
  }

  test('answers to localhost and names under it', async () => {
    for (const host of ['localhost:1', 'abc.execute-api.localhost', '[::1]:3001']) {
      assert.equal((await get('app', { host })).status, 200, host);
    }
  });

  test('knows no other path, and says what there is', async () => {
    const { status, body } = await get('nothing');
    assert.equal(status, 404);
    assert.match(body, /connections/);
  });
});

describe('connections', { concurrency: true }, () => {
  test('lists who is connected, as a table and as JSON', async () => {
    const { client, id } = await identified({ headers: { 'User-Agent': 'lister/1' } });
    const { status, stdout } = await ask('connections', '--json');
    assert.equal(status, 0);
    const listed = JSON.parse(stdout).find(({ connectionId }) => connectionId === id);
    assert.equal(listed.api, 'dev-contract-websockets');
    assert.equal(listed.sourceIp, '127.0.0.1');
    assert.equal(listed.userAgent, 'lister/1');
    assert.ok(listed.lastActiveAt >= listed.connectedAt);
    const table = await ask('connections');
    assert.match(table.stdout, new RegExp(`CONNECTION[^]*${id}.*lister/1`));
    await client.close();
    await eventually(async () => !(await ask('connections')).stdout.includes(id), 'the connection is not listed any more');
  });

  test('shows, sends to and closes one', async () => {
    const { client, id } = await identified();
    assert.match((await ask('connections', 'show', id)).stdout, /sourceIp +127\.0\.0\.1/);
    assert.equal((await ask('connections', 'send', id, 'hello, é')).status, 0);
    assert.equal(await client.next(), 'hello, é');
    const sending = launched(['connections', 'send', id, '-'], { input: '{"from":"stdin"}' });
    assert.equal((await sending.exited).status, 0);
    assert.deepEqual(await client.json(), { from: 'stdin' });
    const closing = await ask('connections', 'close', id, '--code', '4001', '--reason', 'go home');
    assert.equal(closing.status, 0, closing.stderr);
    assert.deepEqual(await client.end(), { code: 4001, reason: 'go home' });
    const gone = await ask('connections', 'show', id);
    assert.equal(gone.status, 1);
    assert.match(gone.stderr, /gone/);
  });

  test('watched tells who comes and goes', async () => {
    const watching = launched(['connections', '--watch', '--json']);
    // What it prints first is who is there, so that it listens is known by a client of ours.
    const first = await identified();
    const news = () => watching.lines.items.map((line) => JSON.parse(line));
    const about = (type, id) => eventually(
      () => news().find((each) => each.type === type && each.connectionId === id),
      `${type} of ${id} is told`,
    );
    await about('connected', first.id);
    const second = await identified();
    assert.equal((await about('connected', second.id)).sourceIp, '127.0.0.1');
    await second.client.close(4002, 'done');
    const { code, reason } = await about('disconnected', second.id);
    assert.deepEqual({ code, reason }, { code: 4002, reason: 'done' });
    watching.child.kill();
    await first.client.close();
  });
});

describe('invoke', { concurrency: true }, () => {
  test('prints the result, and what the function logged to standard error', async () => {
    const { status, stdout, stderr } = await ask('invoke', 'failure', '--event', '{"how":"fine"}');
    assert.equal(status, 0);
    assert.equal(stdout, '"fine"\n');
    assert.match(stderr, /about to fail: fine/);
    assert.match(stderr, /REPORT RequestId/);
  });

  test('takes the event from a file or standard input', async () => {
    const file = path.join(home, 'event.json');
    await writeFile(file, '{"from":"file"}');
    const named = await ask('invoke', 'contract-dev-context', '--event', file, '--json');
    assert.deepEqual(JSON.parse(named.stdout).event, { from: 'file' });
    const piped = await launched(['invoke', 'context', '-e', '-', '--json'], { input: '{"from":"stdin"}' }).exited;
    assert.deepEqual(JSON.parse(piped.stdout).event, { from: 'stdin' });
  });

  test('ends with 1 where the function failed', async () => {
    const { status, stdout } = await ask('invoke', 'failure', '--event', '{"how":"throw"}');
    assert.equal(status, 1);
    assert.equal(JSON.parse(stdout).errorMessage, 'no such order');
  });

  test('names the nearest function to one that does not exist', async () => {
    const { status, stderr } = await ask('invoke', 'contxt');
    assert.equal(status, 2);
    assert.match(stderr, /did you mean `context`/);
  });

  test('says where an event that is not JSON is wrong', async () => {
    const { status, stderr } = await ask('invoke', 'context', '--event', '{"a":');
    assert.equal(status, 2);
    assert.match(stderr, /not JSON.*column 5/);
  });

  test('does not wait for an asynchronous event', async () => {
    const { status, stdout } = await ask('invoke', 'context', '--async', '--event', '{"async":"tool"}');
    assert.equal(status, 0);
    assert.match(stdout, /accepted as [0-9a-f-]{36}/);
  });
});

describe('send', { concurrency: true }, () => {
  test('sends each line and prints each answer as it came', async () => {
    const input = '{"action":"result","return":{"statusCode":200,"body":"one"}}\n{"action":"result","return":{"statusCode":200,"body":"two"}}\n';
    const { status, stdout, stderr } = await launched(['send', '--wait', '2'], { input }).exited;
    assert.equal(status, 0, stderr);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['one', 'two']);
  });

  test('without a number to wait for takes a silence for the end', async () => {
    const input = '{"action":"echo"}\n';
    const { status, stdout } = await launched(['send'], { input }).exited;
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).route, 'echo');
  });

  test('ends with 1 where fewer messages come than are waited for', async () => {
    const sending = launched(['send', '--wait', '2', '--timeout', '100ms'], { input: '{"action":"echo"}\n' });
    const { status, stderr } = await sending.exited;
    assert.equal(status, 1);
    assert.match(stderr, /[01] of 2 messages came/);
  });

  test('sends headers and subprotocols to the letter', async () => {
    const url = `${server.url()}?do=protocol&protocol=chat.v2`;
    const args = ['send', url, '-H', 'HeaderAuth1: a:b', '--subprotocol', 'chat.v2', '--origin', 'http://page.example', '--timeout', '0s'];
    const { status, stderr } = await launch(args, { env, input: '' }).exited;
    assert.equal(status, 0, stderr);
    const { headers } = await server.printed(
      'CONNECT', (event) => event.headers.HeaderAuth1 !== undefined, 'the handshake with its own header',
    );
    assert.equal(headers.HeaderAuth1, 'a:b');
    assert.equal(headers['Sec-WebSocket-Protocol'], 'chat.v2');
    assert.equal(headers.Origin, 'http://page.example');
  });

  for (const [status, meaning] of [[401, /authorizer/], [403, /no such stage|refused/], [429, /too many/], [500, /logs --errors/]]) {
    test(`explains a handshake that is refused with ${status}`, async () => {
      const url = `${server.url()}?do=status&status=${status}`;
      const refused = await launch(['send', url], { env, input: '' }).exited;
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, new RegExp(`HTTP ${status}`));
      assert.match(refused.stderr, /requestId/);
      assert.match(refused.stderr, meaning);
    });
  }

  test('tells with which code and reason the server closed', async () => {
    const sending = launched(['send', '--timeout', '1h']);
    sending.child.stdin.write('who am I\n');
    const { connectionId } = JSON.parse(await sending.lines.take('the answer'));
    const closing = await ask('connections', 'close', connectionId, '--code', '4003', '--reason', 'moved');
    assert.equal(closing.status, 0, closing.stderr);
    sending.child.stdin.end();
    const { status, stderr } = await sending.exited;
    assert.equal(status, 0);
    assert.match(stderr, /closed: 4003 .*moved/);
  });

  test('says what to do where nobody answers', async () => {
    const { status, stderr } = await fanwire(['send', 'ws://127.0.0.1:1/dev'], { env });
    assert.equal(status, 3);
    assert.match(stderr, /127\.0\.0\.1:1.*fanwire dev/);
  });

  for (const url of ['ftp://host', 'ws://']) {
    test(`refuses ${url} as an address`, async () => {
      const { status, stderr } = await fanwire(['send', url], { env });
      assert.equal(status, 2);
      assert.match(stderr, /is not an address/);
    });
  }
});

describe('logs', () => {
  let said;
  let quiet;
  before(async () => {
    said = await identified();
    quiet = await identified();
    for (const { client } of [said, quiet]) {
      client.send({ action: 'quiet', return: { statusCode: 200 } });
    }
    said.client.send({ action: 'result', do: 'throw' });
    await said.client.next();
    await server.request({ connectionId: said.id, routeKey: 'result' }, 'the failure is reported');
    await server.request({ connectionId: quiet.id, routeKey: 'quiet' }, 'the quiet one is reported');
  });
  after(() => Promise.all([said.client.close(), quiet.client.close()]));

  const records = async (...args) => {
    const { status, stdout, stderr } = await ask('logs', '--json', '-n', '10000', ...args);
    assert.equal(status, 0, stderr);
    return stdout.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  };

  test('of one connection are its requests and what their handlers wrote', async () => {
    const found = await records('--connection', said.id);
    const requests = found.filter(({ type }) => type === 'request');
    assert.ok(requests.length >= 4);
    assert.ok(requests.every(({ connectionId }) => connectionId === said.id));
    assert.ok(found.some(({ type, text }) => type === 'line' && text.includes(`"connectionId":"${said.id}"`)));
    assert.ok(!JSON.stringify(found).includes(quiet.id));
  });

  test('of one route are no others', async () => {
    const found = await records('--route', 'quiet');
    assert.ok(found.length >= 2);
    assert.ok(found.every(({ type, routeKey }) => type === 'line' || routeKey === 'quiet'));
  });

  test('of one function are its requests and lines', async () => {
    const found = await records('--function', 'result');
    assert.ok(found.length > 0);
    assert.ok(found.every((record) => record.function === 'result'));
  });

  test('of errors hold what failed with its stack, and nothing else', async () => {
    const found = await records('--errors', '--connection', said.id);
    const requests = found.filter(({ type }) => type === 'request');
    assert.ok(requests.some(({ outcome }) => outcome.includes('boom')));
    assert.ok(requests.every(({ outcome, status }) => outcome !== 'ok' || status >= 400));
    assert.ok(found.some(({ type, text }) => type === 'line' && text.includes('boom')));
  });

  test('are searched whatever the case', async () => {
    const found = await records('--grep', said.id.toLowerCase());
    assert.ok(found.length > 0);
    assert.ok(found.every((record) => JSON.stringify(record).includes(said.id)));
  });

  test('since a while ago leave out what was before', async () => {
    assert.deepEqual(await records('--since', '0s'), []);
    assert.ok((await records('--since', '1h')).length > 0);
  });

  test('look for people as they do in dev', async () => {
    const { stdout } = await ask('logs', '-n', '10000', '--connection', said.id);
    assert.match(stdout, new RegExp(`\\d\\d:\\d\\d:\\d\\d\\.\\d{3} \\$connect +${said.id} connect .* ms 200`));
    assert.match(stdout, /│ Error: boom/);
  });

  test('followed show what comes, and end with the server', async () => {
    const own = await start(app('selection'), { args: ['--param', 'selection=always'] });
    const following = launch(['logs', '-f', '--json', '--data', own.data], { env });
    const client = await connect(own.url());
    await client.ask('hello');
    const line = await following.lines.find((each) => each.includes('"MESSAGE"'), 'the message is logged');
    assert.equal(JSON.parse(line).status, 200);
    await own.stop();
    const { status, stderr } = await following.exited;
    assert.equal(status, 1);
    assert.match(stderr, /the server has ended/);
  });

  test('that nobody reads any more are no failure', async () => {
    const reading = launched(['logs', '-f', '-n', '10000']);
    reading.child.stdout.destroy();
    const { client } = await identified();
    await client.close();
    assert.equal((await reading.exited).status, 0);
  });
});

describe('finding the server', () => {
  test('works from a folder below the app, until the server stops', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-app-'));
    try {
      await writeFile(path.join(folder, 'fanwire.toml'), 'name = "found"\n[websocket.routes]\n"$default" = { mock = { body = "here" }, response = true }\n');
      const own = await start(folder, { args: ['--data', path.join(folder, '.fanwire')] });
      const announced = JSON.parse(await readFile(path.join(folder, '.fanwire/dev.json'), 'utf8'));
      assert.equal(announced.port, own.port);
      assert.equal(announced.pid, own.pid);
      assert.equal(await readFile(path.join(folder, '.fanwire/.gitignore'), 'utf8'), '*\n');
      const below = path.join(folder, '.fanwire');
      const found = await launch(['send', '--wait', '1'], { env, cwd: below, input: 'x\n' }).exited;
      assert.equal(found.stdout, 'here\n', found.stderr);
      await own.stop();
      await assert.rejects(stat(path.join(folder, '.fanwire/dev.json')));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('ignores what a killed one left behind', async () => {
    const own = await start(app('echo'));
    await own.kill();
    assert.equal((await stat(path.join(own.data, 'dev.json'))).isFile(), true);
    const { status, stderr } = await fanwire(['connections', '--data', own.data], { env });
    // The usual port is taken for the address then, where a server may run or not.
    if (status !== 0) assert.match(stderr, /localhost:3001/);
  });

  test('says what to do where something else answers', async () => {
    const other = http.createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
    await within(new Promise((resolve) => other.once('listening', resolve)), 'the other server listens');
    const { status, stderr } = await fanwire(['connections', '--url', `http://127.0.0.1:${other.address().port}`], { env });
    other.close();
    assert.equal(status, 3);
    assert.match(stderr, /is it a `fanwire dev`/);
  });
});
