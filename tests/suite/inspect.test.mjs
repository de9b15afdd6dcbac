// A debugger that attaches to a function: Node's own protocol, spoken by `ws`.

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';

import { WebSocket } from 'ws';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** A port that was free a moment ago. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a debugger attaches between events, and holds an event as long as it likes', async () => {
  const port = await freePort();
  const server = await start(app('contract'), { args: ['--inspect', `echo:${port}`] });
  const client = await connect(server.url());
  await client.ask({ action: 'echo', n: 1 });
  const [{ webSocketDebuggerUrl }] = await eventually(
    async () => (await fetch(`http://127.0.0.1:${port}/json`)).json(),
    'the function can be inspected',
  );
  const debugging = new WebSocket(webSocketDebuggerUrl);
  await within(new Promise((resolve) => debugging.on('open', resolve)), 'the debugger is attached');
  const answers = new Map();
  const paused = new Promise((resolve) => {
    debugging.on('message', (text) => {
      const { id, result, method } = JSON.parse(text);
      answers.get(id)?.(result);
      if (method === 'Debugger.paused') resolve();
    });
  });
  let last = 0;
  const call = (method, params = {}) => within(new Promise((resolve) => {
    answers.set(++last, resolve);
    debugging.send(JSON.stringify({ id: last, method, params }));
  }), `the debugger is answered ${method}`);
  const { result } = await call('Runtime.evaluate', { expression: 'process.env.AWS_LAMBDA_FUNCTION_NAME' });
  assert.equal(result.value, 'contract-dev-echo');
  await call('Debugger.enable');
  await call('Debugger.pause');
  client.send({ action: 'echo', n: 2 });
  await within(paused, 'the event is held');
  await call('Debugger.resume');
  await call('Debugger.disable');
  assert.match(await client.next(), /n\\*":2/);
  debugging.close();
  await server.stop();
});

test('a function that is not there cannot be inspected, and the nearest is named', async () => {
  const { status, stderr } = await fanwire(['dev', app('contract'), '--port', '0', '--inspect', 'ecko']);
  assert.equal(status, 2);
  assert.match(stderr, /did you mean `echo`\?/);
});
