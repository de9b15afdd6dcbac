// The command line: what `check`, `schema` and `dev` say, and how they end.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';

import { FANWIRE, app, fanwire, start } from '../harness/fanwire.mjs';

/** Runs `check` on a serverless.yml with these lines. */
async function check(lines) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-check-'));
  try {
    const file = path.join(folder, 'serverless.yml');
    await writeFile(file, lines.join('\n'));
    const { status, stdout, stderr } = await fanwire(['check', folder]);
    return { status, said: stdout + stderr };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const head = ['service: faulty', 'provider:', '  name: aws', '  runtime: nodejs20.x'];

describe('check', { concurrency: true }, () => {
  test('prints the resolved App as JSON', async () => {
    const { status, stdout } = await fanwire(['check', app('contract'), '--json']);
    assert.equal(status, 0);
    const resolved = JSON.parse(stdout);
    assert.equal(resolved.service, 'contract');
    assert.equal(resolved.functions.context.environment.FROM_PROVIDER, 'function');
    const [api] = resolved.websocket_apis;
    assert.equal(api.name, 'dev-contract-websockets');
    assert.deepEqual(Object.keys(api.routes).sort(), [
      '$connect', '$default', '$disconnect', '7', 'echo', 'event', 'gate', 'null', 'post', 'post-v2', 'quiet',
      'result', 'true',
    ]);
  });

  test('resolves for the stage that is asked for', async () => {
    const { stdout } = await fanwire(['check', app('contract'), '--json', '--stage', 'test']);
    const resolved = JSON.parse(stdout);
    assert.equal(resolved.stage, 'test');
    assert.equal(resolved.functions.count.name, 'contract-test-count');
  });

  for (const [what, lines, place, words] of [
    ['an authorizer that names no function', [
      ...head, 'functions:', '  authorise:', '    handler: a.b', '  connect:', '    handler: a.b', '    events:',
      '      - websocket:', '          route: $connect', '          authorizer: authorize',
    ], ':13:', ['authorize', 'authorise']],
    ['an identity source that is malformed', [
      ...head, 'functions:', '  auth:', '    handler: a.b', '  connect:', '    handler: a.b', '    events:',
      '      - websocket:', '          route: $connect', '          authorizer:', '            name: auth',
      '            identitySource:', '              - route.request.headers.Auth',
    ], ':16:', ['route.request.headers.Auth', 'route.request.header']],
    ['a variable that nobody defines', [
      ...head, '  environment:', '    A: ${env:NOBODY_DEFINES_THIS}', 'functions:', '  a:', '    handler: a.b',
    ], ':6:', ['NOBODY_DEFINES_THIS']],
    ['a route on two functions', [
      ...head, 'functions:', '  a:', '    handler: a.b', '    events:', '      - websocket: same', '  b:',
      '    handler: a.b', '    events:', '      - websocket: same',
    ], ':13:', ['same']],
    ['a route key that starts with a dollar sign', [
      ...head, 'functions:', '  a:', '    handler: a.b', '    events:', '      - websocket: $conect',
    ], ':9:', ['$conect', '$connect']],
    ['YAML that is broken', [...head, 'functions: [', 'more: }'], ':6:', []],
  ]) {
    test(`shows the place of ${what}, and what was meant`, async () => {
      const { status, said } = await check(lines);
      assert.notEqual(status, 0);
      assert.ok(said.includes(`serverless.yml${place}`), said);
      for (const word of words) assert.ok(said.includes(word), said);
    });
  }

  test('lists events that are not served, and passes', async () => {
    const { status, said } = await check([
      ...head, 'functions:', '  a:', '    handler: a.b', '    events:', '      - websocket: $default',
      '      - http: GET /x', '      - s3: bucket',
    ]);
    assert.equal(status, 0, said);
    assert.match(said, /http/);
    assert.match(said, /s3/);
  });

  test('of a folder without an app says which files it looked for', async () => {
    const { status, stderr } = await fanwire(['check', os.tmpdir()]);
    assert.notEqual(status, 0);
    assert.match(stderr, /serverless\.yml/);
    assert.match(stderr, /fanwire\.toml/);
  });
});

test('schema prints a JSON Schema of fanwire.toml', async () => {
  const { status, stdout } = await fanwire(['schema']);
  assert.equal(status, 0);
  const schema = JSON.parse(stdout);
  assert.match(schema.$schema, /json-schema\.org/);
  assert.ok(schema.properties.functions);
  assert.ok(schema.properties.websocket);
});

describe('dev', { concurrency: true }, () => {
  test('says first where it listens and what it serves', async () => {
    const server = await start(app('selection'), { args: ['--param', 'selection=always', '--stage', 'test'] });
    const [ready] = server.events.items;
    assert.equal(ready.type, 'ready');
    const [api] = ready.apis;
    assert.match(api.id, /^[a-z0-9]{10}$/);
    assert.deepEqual(ready.apis, [{
      id: api.id,
      name: 'test-selection-websockets',
      stage: 'test',
      url: `ws://127.0.0.1:${ready.port}/test`,
      management: `http://127.0.0.1:${ready.port}/test`,
    }]);
    assert.deepEqual(ready.functions, [{ key: 'echo', name: 'selection-test-echo' }]);
    assert.equal((await server.stop()).code, 0);
  });

  test('on a port that is taken says so and ends', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address();
    const { status, stderr } = await fanwire(['dev', app('selection'), '--param', 'selection=always', '--port', String(port)]);
    other.close();
    assert.notEqual(status, 0);
    assert.match(stderr, new RegExp(String(port)));
  });

  test('of an app that does not load ends with what is wrong', async () => {
    const { status, stderr } = await fanwire(['dev', app('selection'), '--port', '0']);
    assert.notEqual(status, 0);
    assert.match(stderr, /serverless\.yml:\d+:\d+/);
    assert.match(stderr, /selection/);
  });

  test('with a flag that does not exist names the nearest', async () => {
    const { status, stderr } = await fanwire(['dev', '--prt', '0']);
    assert.equal(status, 2);
    assert.match(stderr, /--port/);
  });
});

test('the program under test is there', async () => {
  assert.equal((await fanwire(['--version'])).status, 0, FANWIRE);
});
