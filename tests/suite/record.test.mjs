// Recording what passes a running dev, and replaying it.

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { app, fanwire, launch, start } from '../harness/fanwire.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect, refused } from '../harness/websocket.mjs';

let folder;
let server;
before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-record-'));
  server = await start(app('contract'));
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const lines = (text) => text.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));

/** Records what `session` does to the server; the file and its lines. */
async function recorded(name, session, { of = server, args = [] } = {}) {
  const file = path.join(folder, name);
  const recording = launch(['record', file, '--data', of.data, ...args]);
  await eventually(() => recording.stderr.includes('recording'), 'the recording has begun');
  const written = async () => lines(await readFile(file, 'utf8'));
  await session(written);
  recording.child.kill('SIGINT');
  const { status, stderr } = await recording.exited;
  assert.equal(status, 0, stderr);
  return { file, records: await written(), said: stderr };
}

/** A client that says some things and leaves; resolves once `$disconnect` is recorded. */
const conversation = (messages, options) => async (written) => {
  const client = await connect(server.url('?token=abc'), options);
  for (const message of messages) await client.ask(message);
  await client.close(4000, 'bye');
  await eventually(
    async () => (await written()).some(({ type, function: name }) => type === 'result' && name === 'disconnect'),
    'the end of the connection is recorded',
  );
};

describe('record', () => {
  test('writes handshakes, messages, events, results and closes in order', async () => {
    const { records, said } = await recorded('order.ndjson', conversation([{ action: 'echo', n: 1 }]));
    const [heading, ...steps] = records;
    assert.equal(heading.type, 'recording');
    assert.equal(heading.version, 1);
    assert.equal(heading.app.name, 'contract');
    assert.deepEqual(steps.map(({ type, function: name }) => (name ? `${type} ${name}` : type)), [
      'connect', 'event connect', 'result connect', 'connected',
      'frame-in', 'event echo', 'result echo', 'frame-out',
      'close', 'event disconnect', 'result disconnect',
    ]);
    const [connection] = new Set(steps.map((step) => step.connection));
    assert.ok(steps.every((step) => step.connection === connection));
    const named = Object.fromEntries(steps.map((step) => [step.type, step]));
    assert.deepEqual(named.connect.query, [['token', 'abc']]);
    assert.equal(named['frame-in'].text, '{"action":"echo","n":1}');
    assert.equal(JSON.parse(named['frame-out'].text).connectionId, connection);
    assert.deepEqual([named.close.code, named.close.reason, named.close.by], [4000, 'bye', 'client']);
    assert.match(said, /1 connections, 1 messages in, 3 events, 1 messages out/);
  });

  test('leaves the values of secret headers out, in events too', async () => {
    const headers = { Authorization: 'Bearer s3cret', Cookie: 's3cret=1', 'X-Api-Key': 's3cret', 'X-Other': 'kept' };
    const session = conversation([{ action: 'echo' }], { headers });
    const { file, records } = await recorded('secrets.ndjson', session);
    assert.ok(!JSON.stringify(records).includes('s3cret'));
    assert.ok(JSON.stringify(records).includes('kept'));
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const open = await recorded('open.ndjson', session, { args: ['--with-secrets'] });
    assert.ok(JSON.stringify(open.records).includes('s3cret'));
  });

  test('tells refused handshakes and closes by the server', async () => {
    const { records } = await recorded('refused.ndjson', async (written) => {
      await refused(server.url('?do=status&status=401'));
      const client = await connect(server.url());
      client.socket.send(Buffer.from([1, 2, 3]));
      await client.end();
      await eventually(async () => (await written()).some(({ type }) => type === 'close'), 'the close is recorded');
    });
    const refusal = records.find(({ type }) => type === 'refused');
    assert.equal(refusal.status, 401);
    const close = records.find(({ type }) => type === 'close');
    assert.deepEqual([close.code, close.by], [1003, 'server']);
  });

  test('ends with Ctrl-C in the midst of traffic', async () => {
    const client = await connect(server.url());
    const flood = setInterval(() => {
      for (let n = 0; n < 20; n += 1) client.send({ action: 'echo', n });
    }, 2);
    try {
      // A Ctrl-C that comes together with a line must not be lost to it; several, since
      // only some come so.
      for (let n = 0; n < 5; n += 1) {
        await recorded(`busy-${n}.ndjson`, (written) => eventually(async () => (await written()).length > 20, 'it is busy'));
      }
    } finally {
      clearInterval(flood);
      await client.close();
    }
  });

  test('ends after the time that is given, and replaces no file unasked', async () => {
    const file = path.join(folder, 'timed.ndjson');
    const args = ['record', file, '--for', '50ms', '--data', server.data];
    assert.equal((await fanwire(args)).status, 0);
    const again = await fanwire(args);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /--force/);
    assert.equal((await fanwire([...args, '--force'])).status, 0);
  });
});

describe('replay', () => {
  test('gives recorded events to the functions of today, and compares', async () => {
    const { file } = await recorded('events.ndjson', conversation([{ action: 'echo', n: 1 }]));
    const same = await fanwire(['replay', file, '--data', server.data]);
    assert.equal(same.status, 0, same.stdout + same.stderr);
    assert.match(same.stdout, /event 2 echo echo/);
    assert.match(same.stderr, /3 events, 0 with another result/);
    const text = await readFile(file, 'utf8');
    const changed = path.join(folder, 'events-changed.ndjson');
    await writeFile(changed, text.replaceAll(String.raw`\"route\":\"echo\"`, String.raw`\"route\":\"other\"`));
    const other = await fanwire(['replay', changed, '--function', 'echo', '--data', server.data]);
    assert.equal(other.status, 1);
    assert.match(other.stdout, /^ +- +"route": "other"/m);
    assert.match(other.stdout, /^ +\+ +"route": "echo"/m);
    assert.match(other.stderr, /^1 events, 1 with/m);
  });

  test('of an event that is not there says how many there are', async () => {
    const { file } = await recorded('few.ndjson', conversation([{ action: 'echo' }]));
    for (const [args, said] of [
      [['--event', '9'], /there is no event 9; the recording has 3/],
      [['--function', 'eco'], /did you mean `echo`/],
    ]) {
      const { status, stderr } = await fanwire(['replay', file, ...args, '--data', server.data]);
      assert.equal(status, 2);
      assert.match(stderr, said);
    }
  });

  test('refuses what is no recording', async () => {
    for (const [text, said] of [
      ['', /empty/],
      ['{"type":"request"}\n', /:1: this is not a recording/],
      ['{"type":"recording","version":99}\n', /version 99/],
      ['{"type":"recording","version":1}\n{"type":"connect"}\n', /:2: missing field/],
    ]) {
      const file = path.join(folder, 'broken.ndjson');
      await writeFile(file, text);
      const { status, stderr } = await fanwire(['replay', file]);
      assert.equal(status, 2);
      assert.match(stderr, said);
    }
  });
});

describe('replay --check', () => {
  // Messages of two clients, one of whom posts to the other; a failure; a refusal; binary.
  const session = async (written) => {
    const one = await connect(server.url());
    const two = await connect(server.url('?a=1&b=%C3%A9'), { headers: { HeaderAuth1: 'v' } });
    const { connectionId } = JSON.parse(await two.ask('who am I'));
    one.send({ action: 'post', to: connectionId, data: 'from one' });
    assert.equal(await two.next(), 'from one');
    await one.ask({ action: 'event', at: 1 });
    await one.ask({ action: 'result', do: 'throw' });
    await refused(server.url('?do=status&status=403'));
    await one.close();
    two.socket.send(Buffer.from([1]));
    await two.end();
    await eventually(
      async () => (await written()).filter(({ type, function: name }) => type === 'result' && name === 'disconnect').length === 2,
      'the ends of both connections are recorded',
    );
  };

  test('passes where the app does what was recorded', async () => {
    const { file } = await recorded('session.ndjson', session);
    const { status, stdout, stderr } = await fanwire(['replay', '--check', file, app('contract')]);
    assert.equal(status, 0, stdout + stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /0 differences/);
  });

  test('runs against a server that is there already, too', async () => {
    const { file } = await recorded('there.ndjson', conversation([{ action: 'echo' }, 'text']));
    const { status, stdout, stderr } = await fanwire(['replay', '--check', file, '--url', `http://${server.host}`]);
    assert.equal(status, 0, stdout + stderr);
  });

  test('shows what an app does otherwise, and ends with 1', async () => {
    const { file } = await recorded('changed.ndjson', conversation([{ action: 'echo', n: 1 }]));
    const changed = path.join(folder, 'changed');
    await cp(app('contract'), changed, { recursive: true });
    const handlers = path.join(changed, 'handlers.js');
    const code = await readFile(handlers, 'utf8');
    await writeFile(handlers, code.replace('route: requestContext.routeKey,', "route: 'changed', more: true,"));
    const { status, stdout } = await fanwire(['replay', '--check', file, changed]);
    assert.equal(status, 1);
    assert.match(stdout, /connection 1: messages to the client/);
    assert.match(stdout, /connection 1: results of echo/);
    assert.match(stdout, /^ +- +"route": "echo"/m);
    assert.match(stdout, /^ +\+ +"more": true/m);
    const ignoring = await fanwire(['replay', '--check', file, changed, '--ignore', 'body', '--ignore', 'route', '--json']);
    const titles = lines(ignoring.stdout).map(({ what }) => what);
    assert.deepEqual(titles, ['connection 1: messages to the client']);
  });

  test('shows what does not come any more', async () => {
    const { file, records } = await recorded('missing.ndjson', conversation([{ action: 'echo' }]));
    const [heading, ...steps] = records;
    const at = steps.findIndex(({ type }) => type === 'frame-out');
    const more = [...steps.slice(0, at + 1), { ...steps[at], text: 'never sent' }, ...steps.slice(at + 1)];
    await writeFile(file, [heading, ...more].map((line) => JSON.stringify(line)).join('\n'));
    const { status, stdout } = await fanwire(['replay', '--check', file, app('contract'), '--timeout', '200ms']);
    assert.equal(status, 1);
    assert.match(stdout, /^ +-never sent/m);
  });

  test('repeats broadcasts and the end of the server', async () => {
    const own = await start(app('echo'));
    const { file } = await recorded('broadcast.ndjson', async (written) => {
      const [one, two] = [await connect(own.url()), await connect(own.url())];
      await one.ask('hi');
      await fetch(`${own.management()}/@connections`, { method: 'POST', body: 'to all' });
      await two.next();
      await fetch(`http://${own.host}/_fanwire/connections`).then(async (answer) => {
        const { connections } = await answer.json();
        const [{ connectionId }] = connections;
        await fetch(`${own.management()}/@connections/${connectionId}?code=1001&reason=Going%20away`, { method: 'DELETE' });
      });
      await eventually(async () => (await written()).some(({ type }) => type === 'close'), 'the close is recorded');
      await one.end();
      await two.close();
    }, { of: own });
    await own.stop();
    const { status, stdout, stderr } = await fanwire(['replay', '--check', file, app('echo'), '--timeout', '300ms']);
    // The broadcast came from elsewhere, so nobody makes it again; all else is the same.
    assert.equal(status, 1, stderr);
    assert.match(stdout, /broadcasts of/);
    assert.equal(stdout.match(/^\S/gm).length, 1, stdout);
  });

  test('of another app says which API is missing', async () => {
    const { file } = await recorded('elsewhere.ndjson', conversation([{ action: 'echo' }]));
    const { status, stderr } = await fanwire(['replay', '--check', file, app('echo')]);
    assert.equal(status, 2);
    assert.match(stderr, /dev-contract-websockets.*same app/);
  });
});
