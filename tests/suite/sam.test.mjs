// SAM templates, with pages in two browsers: the example as it is, and an app with SAM's own type of API, an authorizer,
// and parameters that samconfig.toml gives.

import assert from 'node:assert/strict';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { app, example, start } from '../harness/fanwire.mjs';
import { connect, refused } from '../harness/websocket.mjs';

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
});
after(() => browser?.close());

describe('the SAM chat example', () => {
  let server;
  before(async () => {
    server = await start(example('sam-chat'));
  });
  after(() => server?.stop());

  test('two people in browsers hear each other, over a hard-coded callback URL', async () => {
    const page = pathToFileURL(path.join(example('sam-chat'), 'index.html'));
    const tab = async (name) => {
      page.search = new URLSearchParams({ name, server: server.url() });
      const opened = await (await browser.newContext()).newPage();
      await opened.goto(page.href);
      await opened.locator('button:enabled').waitFor();
      return opened;
    };
    const say = async (on, text) => {
      await on.locator('input').fill(text);
      await on.locator('button').click();
    };
    const [ada, grace] = [await tab('Ada'), await tab('Grace')];
    await say(ada, 'hello');
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await say(grace, 'hi');
    for (const each of [ada, grace]) await each.getByText('Grace: hi').waitFor();
    await Promise.all([ada, grace].map((each) => each.close()));
  });

  test('is talked with from a terminal, as its README says', async () => {
    const ada = await connect(server.url('?name=Ada'));
    ada.send({ action: 'say', text: 'hello' });
    assert.deepEqual(await ada.json(), { from: 'Ada', text: 'hello' });
    await ada.close();
  });
});

describe('a SAM app with an authorizer and parameters', () => {
  let server;
  before(async () => {
    server = await start(app('sam'));
  });
  after(() => server?.stop());
  const query = (values) => `?${new URLSearchParams(values)}`;

  test('lets two browsers with a pass talk in their room, and answers with a stage variable', async () => {
    const tab = async (name, room) => {
      const page = await (await browser.newContext()).newPage();
      await page.evaluate((url) => new Promise((resolve, reject) => {
        globalThis.heard = [];
        globalThis.socket = new WebSocket(url);
        globalThis.socket.onopen = resolve;
        globalThis.socket.onerror = reject;
        globalThis.socket.onmessage = ({ data }) => document.body.append(data, document.createElement('br'));
      }), server.url(query({ name, pass: `${room}:open sesame` })));
      return page;
    };
    const [ada, grace, other] = [await tab('Ada', 'attic'), await tab('Grace', 'attic'), await tab('Eve', 'kitchen')];
    await ada.evaluate(() => globalThis.socket.send('hello'));
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await ada.getByText('welcome to the test').waitFor();
    await other.evaluate(() => globalThis.socket.send('anyone?'));
    await other.getByText('Eve: anyone?').waitFor();
    assert.equal(await other.getByText('Ada').count(), 0);
    await Promise.all([ada, grace, other].map((each) => each.close()));
  });

  test('refuses who has no pass, or one for a room that samconfig.toml does not name', async () => {
    assert.equal((await refused(server.url('?name=Ada'))).status, 401);
    assert.equal((await refused(server.url(query({ name: 'Ada', pass: 'hall:open sesame' })))).status, 403);
  });
});

test('--param wins over samconfig.toml', async () => {
  const server = await start(app('sam'), { args: ['--param', 'Rooms=hall', '--param', 'Environment=prod', '--param', 'Secret=x'] });
  try {
    assert.match(server.url(), /\/prod$/);
  } finally {
    await server.stop();
  }
});
