// The SST examples as they are: `fanwire dev` beside an sst.config.ts.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { example, fanwire, launch, start } from '../harness/fanwire.mjs';
import { connect, refused } from '../harness/websocket.mjs';

describe('the SST chat', () => {
  let server;
  let browser;
  let address;
  before(async () => {
    server = await start(example('sst-realtime'), { args: ['--with-sites'], env: { NO_COLOR: '1' } });
    // Vite takes another port where its own is taken.
    const isAddress = (event) => event.function === 'MyWeb' && event.text?.includes('http://localhost:');
    const { text } = await server.events.find(isAddress, 'Vite is ready');
    [address] = /http:\/\/localhost:\d+/.exec(text);
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function tab(query) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const opened = await context.newPage();
    await opened.goto(`${address}/?${query}`);
    return opened;
  }

  async function say(on, text) {
    await on.locator('button:enabled').waitFor();
    await on.locator('input').fill(text);
    await on.locator('button').click();
  }

  test('two people in browsers hear each other, and its subscriber hears both', async () => {
    const [ada, grace] = [await tab('name=Ada'), await tab('name=Grace')];
    await ada.getByText('in the lobby as Ada').waitFor();
    await grace.getByText('in the lobby as Grace').waitFor();
    await say(ada, 'hello');
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await say(grace, 'hi');
    for (const each of [ada, grace]) await each.getByText('Grace: hi').waitFor();
    for (const said of ['Ada says hello', 'Grace says hi']) {
      await server.events.find(({ text }) => text?.includes(said), `the log of the subscriber: ${said}`);
    }
  });

  test('who has no right to the lobby is refused it', async () => {
    const mallory = await tab('name=Mallory&token=guessed');
    await mallory.getByText(/^refused: /).waitFor();
    assert.equal(await mallory.locator('button:enabled').count(), 0);
  });

  test('what a function publishes with the AWS SDK arrives', async () => {
    const ada = await tab('name=Ada');
    await ada.getByText('in the lobby as Ada').waitFor();
    const event = JSON.stringify({ text: 'closing time' });
    const { status, stdout, stderr } = await fanwire(['invoke', 'Announce', '--event', event, '--data', server.data]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { told: 'sst-realtime/dev/chat/lobby' });
    await ada.getByText('The house: closing time').waitFor();
  });
});

describe('the SST chat over a WebSocket API', () => {
  let server;
  before(async () => {
    server = await start(example('sst-websocket'));
  });
  after(() => server?.stop());

  const url = (query) => `ws://localhost:${server.port}/$default?${query}`;

  test('is reached where its link says, and finds its table, its index and its people', async () => {
    const { stdout } = await fanwire(['check', example('sst-websocket'), '--json']);
    const { url: told } = JSON.parse(stdout).links.MyApi;
    assert.equal(`${told.replace('${server:address}', `localhost:${server.port}`)}?`, url(''));
    const [ada, grace] = [await connect(url('room=hall&name=Ada')), await connect(url('room=hall&name=Grace'))];
    const alone = await connect(url('room=attic&name=Alan'));
    ada.send({ action: 'say', text: 'hello' });
    for (const each of [ada, grace]) assert.deepEqual(await each.json(), { from: 'Ada', text: 'hello' });
    alone.send({ action: 'say', text: 'anybody?' });
    assert.deepEqual(await alone.json(), { from: 'Alan', text: 'anybody?' });
    await grace.close();
    ada.send({ action: 'say', text: 'gone?' });
    assert.deepEqual(await ada.json(), { from: 'Ada', text: 'gone?' });
    await Promise.all([ada.close(), alone.close()]);
  });

  test('is talked with from the command line, as its README says', async () => {
    const input = '{"action":"say","text":"hello"}\n';
    const { stdout, stderr } = await launch(['send', url('room=porch&name=Ada'), '--wait', '1'], { input }).exited;
    assert.equal(stdout, '{"from":"Ada","text":"hello"}\n', stderr);
  });

  test('asks its authorizer who gets in', async () => {
    assert.equal((await refused(url('room=cellar'))).status, 403);
    assert.equal((await refused(url('name=Ada'))).status, 401);
  });
});
