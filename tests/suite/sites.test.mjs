// `fanwire dev --with-sites`: what serves an app's sites runs beside the server.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { eventually } from '../harness/patience.mjs';

// Tells what it is given, and starts a process of its own, as development servers do.
const TOOL = `
  const { spawn } = require('child_process');
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  const { SST_RESOURCE_Api, SST_RESOURCE_Secret, SST_RESOURCE_App, VITE_API, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_DYNAMODB } = process.env;
  console.log('TOOL ' + JSON.stringify({ pids: [process.pid, child.pid], cwd: process.cwd(), SST_RESOURCE_Api, SST_RESOURCE_Secret, SST_RESOURCE_App, VITE_API, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_DYNAMODB }));
  console.error('a word of warning');
`;

const TOML = `
name = "shop"
region = "eu-west-1"
[links]
Api = { url = "ws://\${server:address}/dev" }
Secret = { value = "not for it" }
[sites.web]
path = "packages/web"
command = "node tool.cjs"
links = ["Api"]
environment = { VITE_API = "http://\${server:address}/one" }
[sites.docs]
command = "echo DOCS; exit 3"
[sites.elsewhere]
path = "packages/web"
`;

function project(toml = TOML) {
  const folder = temporaryFolder('sites');
  mkdirSync(path.join(folder, 'packages/web'), { recursive: true });
  writeFileSync(path.join(folder, 'packages/web/tool.cjs'), TOOL);
  writeFileSync(path.join(folder, 'fanwire.toml'), toml);
  return folder;
}

const told = (server, wanted = () => true) => server.printed('TOOL', wanted, 'the tool of the site runs');

/** Whether a process still runs. A zombie does not. */
function runs(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

const gone = (pids) => eventually(() => !pids.some(runs), `the processes ${pids} are gone`);

describe('a site', { concurrency: 3 }, () => {
  test('is started in its folder with its links and its environment, and its lines are in the log', async (t) => {
    const folder = project();
    const server = await start(folder, { args: ['--with-sites'] });
    t.after(() => server.kill());
    const { cwd, pids, ...environment } = await told(server);
    assert.equal(path.relative(folder, cwd), 'packages/web');
    assert.deepEqual(environment, {
      SST_RESOURCE_Api: JSON.stringify({ url: `ws://localhost:${server.port}/dev` }),
      SST_RESOURCE_App: JSON.stringify({ name: 'shop', stage: 'dev' }),
      VITE_API: `http://localhost:${server.port}/one`,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'fanwire',
      AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${server.port}`,
    });
    const line = await server.events.find(({ text }) => text === 'a word of warning', 'what it writes');
    assert.deepEqual([line.function, line.stream], ['web', 'stderr']);
    assert.ok(pids.every(runs));
  });

  test('that ends is told of and started again', async (t) => {
    const server = await start(project(), { args: ['--with-sites'] });
    t.after(() => server.kill());
    const isEnd = ({ text }) => /^docs: ended after .*exit status 3; it is started again in /.test(text ?? '');
    await server.events.find(isEnd, 'its end');
    await eventually(() => server.events.items.filter(({ text }) => text === 'DOCS').length > 1, 'it runs again');
  });

  test('has another process where the project file gives it another environment', async (t) => {
    const folder = project(TOML.replace('exit 3', 'exec sleep 1000'));
    const server = await start(folder, { args: ['--with-sites'] });
    t.after(() => server.kill());
    const first = await told(server);
    await server.events.find(({ text }) => text === 'DOCS', 'the other one runs');
    writeFileSync(path.join(folder, 'fanwire.toml'), TOML.replace('/one', '/two').replace('exit 3', 'exec sleep 1000'));
    const second = await told(server, ({ VITE_API }) => VITE_API.endsWith('/two'));
    assert.notEqual(second.pids[0], first.pids[0]);
    await gone(first.pids);
    assert.equal(server.events.items.filter(({ text }) => text === 'DOCS').length, 1, 'the other one runs on');
  });

  for (const how of ['stop', 'kill']) {
    test(`ends with the server, however that ends: ${how}`, async () => {
      const server = await start(project(), { args: ['--with-sites'] });
      const { pids } = await told(server);
      await server[how]();
      await gone(pids);
    });
  }

  test('is left alone without --with-sites', async (t) => {
    const server = await start(project());
    t.after(() => server.kill());
    assert.deepEqual(server.ready.sites, ['web', 'docs', 'elsewhere']);
    await server.stop();
    assert.equal(server.events.items.some(({ text }) => /TOOL|DOCS/.test(text ?? '')), false);
  });
});
