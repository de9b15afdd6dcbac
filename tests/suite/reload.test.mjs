// Files that change under a running server: code, what it imports, .env, and the
// project file. Connections stay open through all of it.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, test } from 'node:test';

import { ROOT, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { openGate } from '../harness/gate.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** A project in a folder of its own, and the server that follows it. */
class Project {
  constructor() {
    this.folder = temporaryFolder('reload');
  }

  path(name) {
    return path.join(this.folder, name);
  }

  write(files) {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(this.path(name)), { recursive: true });
      writeFileSync(this.path(name), text);
    }
    return this;
  }

  /** Saves as careful editors do: aside, and moved into place. */
  replace(name, text) {
    writeFileSync(this.path(`.${name}.draft`), text);
    renameSync(this.path(`.${name}.draft`), this.path(name));
  }

  async start(options) {
    this.server = await start(this.folder, options);
    return this.server;
  }

  /** What `dev` said about the app or a function, once it says what `wanted` finds. */
  said(wanted, what = `dev says ${wanted}`) {
    const says = ({ type, text }) => (type === 'news' || type === 'function') && wanted.test(text);
    return this.server.events.find(says, what);
  }

  reloads(name) {
    const reloaded = ({ type, text }) => type === 'function' && text.startsWith(`${name}: reloaded in `);
    return this.server.events.items.filter(reloaded).length;
  }

  /** Makes a change, and waits until the functions called `names` run new code. */
  async change(make, ...names) {
    const before = names.map((name) => this.reloads(name));
    make();
    await eventually(
      () => names.every((name, at) => this.reloads(name) > before[at]),
      `${names} are reloaded`,
    );
  }
}

const projects = [];
function project(files) {
  const made = new Project().write(files);
  projects.push(made);
  return made;
}
afterEach(async () => {
  for (const { server } of projects.splice(0)) await server?.stop();
});

const YAML = `
service: reload
provider: { name: aws, runtime: nodejs20.x }
functions:
  a: { handler: a.handler, events: [{ websocket: { route: a, routeResponseSelectionExpression: $default } }] }
  b: { handler: b.handler, events: [{ websocket: { route: b, routeResponseSelectionExpression: $default } }] }
`;
const answering = (text) => `exports.handler = async () => ({ statusCode: 200, body: ${text} });\n`;
const ask = (client, action) => client.ask(JSON.stringify({ action }));

describe('a changed file', () => {
  test('runs with the next event, in the functions that have loaded it and no others', async () => {
    const it = project({
      'serverless.yml': YAML,
      'lib/shared.js': "module.exports = 'one';\n",
      'a.js': `const text = require('./lib/shared');\nconst { pid } = process;\n${answering('`${text} ${pid}`')}`,
      'b.js': answering('`b ${process.pid}`'),
    });
    const client = await connect((await it.start()).url());
    const [one, pidOfA] = (await ask(client, 'a')).split(' ');
    assert.equal(one, 'one');
    const b = await ask(client, 'b');
    await it.change(() => it.write({ 'lib/shared.js': "module.exports = 'two';\n" }), 'a');
    const [two, newPid] = (await ask(client, 'a')).split(' ');
    assert.equal(two, 'two');
    assert.notEqual(newPid, pidOfA);
    assert.equal(await ask(client, 'b'), b, 'the same process as before');
  });

  test('counts however it is saved: by a rename, in an ES module, imported late', async () => {
    const it = project({
      'serverless.yml': YAML,
      'package.json': '{ "type": "module" }',
      'text.js': "export default 'one';\n",
      'late.js': "export default 'one';\n",
      'a.js': "import text from './text.js';\nexport const handler = async () => ({ statusCode: 200, body: text });\n",
      'b.js': "export const handler = async () => ({ statusCode: 200, body: (await import('./late.js')).default });\n",
    });
    const client = await connect((await it.start()).url());
    assert.deepEqual([await ask(client, 'a'), await ask(client, 'b')], ['one', 'one']);
    await it.change(() => it.replace('text.js', "export default 'two';\n"), 'a');
    await it.change(() => it.replace('late.js', "export default 'two';\n"), 'b');
    assert.deepEqual([await ask(client, 'a'), await ask(client, 'b')], ['two', 'two']);
  });

  test('of Python is noticed too', async () => {
    const it = project({
      'serverless.yml': YAML.replace('nodejs20.x', 'python3.11'),
      'shared.py': "TEXT = 'one'\n",
      'a.py': 'import shared\n\ndef handler(event, context):\n    return {"statusCode": 200, "body": shared.TEXT}\n',
      'b.py': 'def handler(event, context):\n    return {"statusCode": 200, "body": "b"}\n',
    });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    await it.change(() => it.write({ 'shared.py': "TEXT = 'two'\n" }), 'a');
    assert.equal(await ask(client, 'a'), 'two');
  });

  test('of TypeScript is compiled again, and its mistakes have their place', async () => {
    const it = project({
      'serverless.yml': YAML,
      'shared.ts': "export const text: string = 'one';\n",
      'a.ts': "import { text } from './shared.js';\nexport const handler = async () => ({ statusCode: 200, body: text });\n",
      'b.js': answering("'b'"),
    });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    await it.change(() => it.write({ 'shared.ts': "export const text: string = 'two';\n" }), 'a');
    assert.equal(await ask(client, 'a'), 'two');
    it.write({ 'shared.ts': '\nexport const text: = 1;\n' });
    const { text } = await it.said(/a: init failed: .*SyntaxError/);
    assert.ok(text.includes(`${it.path('shared.ts')}:2`), text);
  });

  test('lets an event in flight finish on the old code, while the next one runs the new', async () => {
    const gate = await openGate();
    const it = project({
      'serverless.yml': YAML.replace('a: { ', 'a: { reservedConcurrency: 1, '),
      'a.js': `exports.handler = async ({ body }) => {
        if (JSON.parse(body).wait) await fetch('${gate.url}/door');
        return { statusCode: 200, body: 'old' };
      };`,
      'b.js': answering("'b'"),
    });
    const server = await it.start();
    const [slow, quick] = [await connect(server.url()), await connect(server.url())];
    slow.send(JSON.stringify({ action: 'a', wait: true }));
    await gate.arrived('door');
    await it.change(() => it.write({ 'a.js': answering("'new'") }), 'a');
    assert.equal(await ask(quick, 'a'), 'new');
    gate.release('door');
    assert.equal(await slow.next(), 'old');
    gate.close();
  });

  test('with a mistake in it is told with file and line when it is saved, and heals', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'one'"), 'b.js': answering("'b'") });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    it.write({ 'a.js': 'exports.handler = async () => {\n  return {;\n};\n' });
    const { text } = await it.said(/a: init failed: .*SyntaxError/);
    assert.ok(text.includes(`${it.path('a.js')}:2`), text);
    assert.match(await ask(client, 'a'), /Internal server error/);
    await it.change(() => it.write({ 'a.js': answering("'two'") }), 'a');
    assert.equal(await ask(client, 'a'), 'two');
  });

  test('with a mistake shows before the first event, too', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'one'"), 'b.js': answering("'b'") });
    await it.start();
    it.write({ 'b.js': 'exports.handler = (\n' });
    const { text } = await it.said(/b: init failed: .*SyntaxError/);
    assert.ok(text.includes(`${it.path('b.js')}:`), text);
  });

  test('that is deleted is told, and is found again where it comes back', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'one'"), 'b.js': answering("'b'") });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    rmSync(it.path('a.js'));
    await it.said(/a: init failed: Runtime.ImportModuleError/);
    await it.change(() => it.write({ 'a.js': answering("'back'") }), 'a');
    assert.equal(await ask(client, 'a'), 'back');
  });

  test('is left alone with --no-reload', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'one'"), 'b.js': answering("'b'") });
    const server = await it.start({ args: ['--no-reload'] });
    const client = await connect(server.url());
    assert.equal(await ask(client, 'a'), 'one');
    it.write({ 'a.js': answering("'two'") });
    // The function that has not started yet reads its file now, so the save is over.
    assert.equal(await ask(client, 'b'), 'b');
    assert.equal(await ask(client, 'a'), 'one');
    assert.equal(it.reloads('a'), 0);
  });
});

describe('a changed .env', () => {
  test('reaches the environment that the project file makes of it', async () => {
    const it = project({
      'serverless.yml': YAML.replace('provider: {', 'useDotenv: true\nprovider: { environment: { WORD: "${env:WORD}" },'),
      '.env': 'WORD=one\n',
      'a.js': answering('process.env.WORD'),
      'b.js': answering("'b'"),
    });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    await it.change(() => it.write({ '.env': 'WORD=two\n' }), 'a');
    assert.equal(await ask(client, 'a'), 'two');
  });

  test('restarts handlers that may read it themselves', async () => {
    const it = project({
      'serverless.yml': YAML,
      'a.js': `const text = require('fs').readFileSync('.env', 'utf8').trim();\n${answering('text')}`,
      '.env': 'one',
      'b.js': answering("'b'"),
    });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'one');
    await it.change(() => it.write({ '.env': 'two' }), 'a');
    assert.equal(await ask(client, 'a'), 'two');
  });
});

describe('a changed project file', () => {
  test('changes routes and functions under live connections, and says what changed', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering('`a ${process.pid}`'), 'b.js': answering("'b'") });
    const client = await connect((await it.start()).url());
    const a = await ask(client, 'a');
    assert.match(await ask(client, 'c'), /Forbidden/);
    appendFileSync(
      it.path('serverless.yml'),
      '  c: { handler: b.handler, events: [{ websocket: { route: c, routeResponseSelectionExpression: $default } }] }\n',
    );
    const { text } = await it.said(/^serverless.yml changed: /);
    assert.match(text, /function `c` added/);
    assert.match(text, /route `c` added/);
    assert.equal(await ask(client, 'c'), 'b');
    assert.equal(await ask(client, 'a'), a, 'a function that has not changed keeps its process');
  });

  test('that cannot be read changes nothing, and shows the mistake', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'a'"), 'b.js': answering("'b'") });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'a');
    it.write({ 'serverless.yml': YAML.replace('functions:', 'functon:') });
    const { text } = await it.said(/the app runs on as it was/);
    assert.match(text, /unknown key `functon`/);
    assert.match(text, /serverless.yml:4:1/);
    assert.equal(await ask(client, 'a'), 'a');
    it.write({ 'serverless.yml': YAML.replace('route: b', 'route: z') });
    await it.said(/route `z` added/);
    assert.equal(await ask(client, 'z'), 'b');
  });

  test('that includes a file that is not there yet is read again when it comes', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'a'"), 'b.js': answering("'b'") });
    const client = await connect((await it.start()).url());
    it.write({ 'serverless.yml': YAML.replace('functions:', 'functions: ${file(./functions.yml)}\nformer:') });
    await it.said(/the app runs on as it was/);
    const functions = 'z: { handler: b.handler, events: [{ websocket: { route: z, routeResponseSelectionExpression: $default } }] }\n';
    it.write({ 'functions.yml': functions });
    await it.said(/route `z` added/);
    assert.equal(await ask(client, 'z'), 'b');
  });

  test('makes the tables that it declares now', async () => {
    const it = project({ 'serverless.yml': YAML, 'a.js': answering("'a'"), 'b.js': answering("'b'") });
    await it.start();
    appendFileSync(it.path('serverless.yml'), `resources:
  Resources:
    Notes:
      Type: AWS::DynamoDB::Table
      Properties:
        TableName: notes
        AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
        KeySchema: [{ AttributeName: id, KeyType: HASH }]
`);
    await it.said(/^table notes created$/);
  });

  test('closes the connections of an API that is gone', async () => {
    const toml = (id) => `name = "two"
[functions.a]
handler = "a.handler"
[[websocket]]
id = "aaaaaaaaaa"
stage = "one"
routes = { a = { function = "a", response = true } }
[[websocket]]
id = "${id}"
stage = "two"
routes = { a = { function = "a", response = true } }
`;
    const it = project({ 'fanwire.toml': toml('bbbbbbbbbb'), 'a.js': answering("'a'") });
    const server = await it.start();
    const stays = await connect(`ws://${server.host}/one`);
    const goes = await connect(`ws://${server.host}/two`);
    assert.equal(await ask(goes, 'a'), 'a');
    it.write({ 'fanwire.toml': toml('cccccccccc') });
    assert.equal((await goes.closed).code, 1001);
    assert.equal(await ask(stays, 'a'), 'a');
    const again = await connect(`ws://${server.host}/two`);
    assert.equal(await ask(again, 'a'), 'a');
  });

  test('changes the limits of connections that are open', async () => {
    const toml = (idle) => `name = "limits"
[functions.a]
handler = "a.handler"
[websocket]
routes = { a = { function = "a", response = true } }
limits = { idle_timeout = "${idle}" }
`;
    const it = project({ 'fanwire.toml': toml('1h'), 'a.js': answering("'a'") });
    const client = await connect((await it.start()).url());
    assert.equal(await ask(client, 'a'), 'a');
    it.write({ 'fanwire.toml': toml('1ms') });
    assert.equal((await client.closed).code, 1001);
  });
});
