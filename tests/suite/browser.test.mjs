// What a page in a browser sees. Chromium, driven by playwright-core.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { app, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';

let server;
let gate;
let browser;
before(async () => {
  gate = await openGate();
  [server, browser] = await Promise.all([
    start(app('contract')),
    chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    }),
  ]);
});
after(async () => {
  gate.close();
  await browser?.close();
  await server.stop();
});

const query = (values) => `?${new URLSearchParams(values)}`;

/** Opens a WebSocket in a page of its own that records all of its events. */
async function page(url, protocols = []) {
  const tab = await browser.newPage();
  await tab.evaluate(([address, offered]) => {
    globalThis.events = [];
    globalThis.socket = new WebSocket(address, offered);
    const waiting = [];
    const record = (event) => {
      globalThis.events.push(event);
      waiting.splice(0).forEach((look) => look());
    };
    globalThis.seen = (type) => new Promise((resolve) => {
      const look = () => {
        const found = globalThis.events.find((event) => event.type === type);
        if (found) resolve(found);
        else waiting.push(look);
      };
      look();
    });
    globalThis.socket.onopen = () => record({ type: 'open' });
    globalThis.socket.onerror = () => record({ type: 'error' });
    globalThis.socket.onmessage = ({ data }) => record({ type: 'message', data });
    globalThis.socket.onclose = ({ code, reason, wasClean }) => record({ type: 'close', code, reason, wasClean });
  }, [url, protocols]);
  return {
    tab,
    seen: (type) => tab.evaluate((name) => globalThis.seen(name), type),
    events: () => tab.evaluate(() => globalThis.events),
    run: (code, argument) => tab.evaluate(code, argument),
  };
}

describe('in a browser', { concurrency: 3 }, () => {
  test('onopen comes only after $connect has returned', async () => {
    const { tab, seen, events } = await page(server.url(query({ gate: `${gate.url}/browser` })));
    await gate.arrived('browser');
    assert.deepEqual(await events(), []);
    gate.release('browser');
    await seen('open');
    await tab.close();
  });

  for (const [what, parameters] of [['400', { do: 'status', status: 400 }], ['403', { do: 'status', status: 403 }], ['502', { do: 'throw' }]]) {
    test(`a refusal with ${what} is onerror, then onclose with 1006`, async () => {
      const { tab, seen, events } = await page(server.url(query(parameters)));
      await seen('close');
      assert.deepEqual(await events(), [
        { type: 'error' },
        { type: 'close', code: 1006, reason: '', wasClean: false },
      ]);
      await tab.close();
    });
  }

  test('the subprotocol that $connect returns is the socket\'s', async () => {
    const { tab, seen, run } = await page(server.url(query({ do: 'protocol', protocol: 'v2' })), ['v1', 'v2']);
    await seen('open');
    assert.equal(await run(() => globalThis.socket.protocol), 'v2');
    assert.equal(await run(() => globalThis.socket.extensions), '');
    await tab.close();
  });

  test('an offered subprotocol that $connect does not return fails the socket', async () => {
    const { tab, seen, events } = await page(server.url(), ['v1']);
    await seen('close');
    assert.ok(!(await events()).some(({ type }) => type === 'open'));
    await tab.close();
  });

  test('messages go both ways, in any script', async () => {
    const { tab, seen, run } = await page(server.url());
    await seen('open');
    await run(() => globalThis.socket.send(JSON.stringify({ action: 'echo', text: 'héllo 🌍' })));
    const { data } = await seen('message');
    assert.equal(JSON.parse(JSON.parse(data).body).text, 'héllo 🌍');
    await tab.close();
  });

  test('a binary message closes the socket with 1003', async () => {
    const { tab, seen, run } = await page(server.url());
    await seen('open');
    await run(() => globalThis.socket.send(new Uint8Array([1, 2, 3])));
    const { code, wasClean } = await seen('close');
    assert.deepEqual({ code, wasClean }, { code: 1003, wasClean: true });
    await tab.close();
  });

  for (const [what, leave, code, reason] of [
    ['close()', (tab) => tab.evaluate(() => globalThis.socket.close()), 1005, 'Client-side close frame status not set'],
    ['close(4001, "bye")', (tab) => tab.evaluate(() => globalThis.socket.close(4001, 'bye')), 4001, 'bye'],
    ['leaving the page', (tab) => tab.goto('data:text/html,elsewhere'), 1001, ''],
  ]) {
    test(`${what} is ${code} for $disconnect`, async () => {
      const { tab, seen, run } = await page(server.url());
      await seen('open');
      await run(() => globalThis.socket.send('who am I'));
      const { connectionId } = JSON.parse((await seen('message')).data);
      await leave(tab);
      const { requestContext } = await server.printed(
        'DISCONNECT', (event) => event.requestContext.connectionId === connectionId, 'the $disconnect event',
      );
      assert.equal(requestContext.disconnectStatusCode, code);
      assert.equal(requestContext.disconnectReason, reason);
      await tab.close();
    });
  }
});
