// Stopping: nothing of an app outlives its server, and every connection gets its
// $disconnect.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';

import { app, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** Whether a process still runs. A zombie does not: its parent only has yet to ask. */
async function runs(pid) {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false;
  }
}

const gone = (pids) => eventually(
  async () => !(await Promise.all(pids.map(runs))).includes(true),
  `the processes ${pids} are gone`,
);

/** Calls a function and does not wait for its answer; failures are the server's end. */
function call(server, name, payload) {
  const lambda = new LambdaClient({
    endpoint: `http://${server.host}`, region: 'eu-west-1', maxAttempts: 1,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  return lambda
    .send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }))
    .then(({ Payload }) => JSON.parse(Buffer.from(Payload).toString()), () => undefined);
}

/** An app with one idle, one busy and one endlessly looping process, and their ids. */
async function busyServer(t, gate) {
  const server = await start(app('processes'));
  t.after(() => server.kill());
  t.after(() => gate.close());
  const idle = await call(server, 'processes-dev-pid', {});
  call(server, 'processes-dev-busy', { gate: `${gate.url}/busy` });
  call(server, 'processes-dev-spin', {});
  call(server, 'processes-dev-python', {});
  const printed = (marker) => server.printed(marker, () => true, `the process of ${marker}`);
  const [busy, spin, python] = await Promise.all([printed('BUSY'), printed('SPIN'), printed('PYTHON')]);
  return { server, pids: [idle.pid, busy.pid, busy.child, spin.pid, python.pid], direct: [idle.pid, busy.pid, spin.pid, python.pid] };
}

describe('a server', { concurrency: 2 }, () => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    test(`that gets ${signal} stops in bounded time with status 0 and leaves no process behind`, async (t) => {
      const gate = await openGate();
      const { server, pids } = await busyServer(t, gate);
      for (const pid of pids) assert.ok(await runs(pid), `${pid} runs`);
      server.child.kill(signal);
      const { code } = await within(server.exited, `the server stops after ${signal}`);
      assert.equal(code, 0);
      await gone(pids);
    });
  }

  test('that is killed leaves no function\'s process behind', async (t) => {
    const gate = await openGate();
    const { server, direct } = await busyServer(t, gate);
    await server.kill();
    await gone(direct);
  });

  test('that stops closes its connections with 1001 and delivers each $disconnect', async (t) => {
    const server = await start(app('contract'));
    t.after(() => server.kill());
    const clients = await Promise.all(Array.from({ length: 5 }, () => connect(server.url())));
    const ids = await Promise.all(clients.map(async (client) => JSON.parse(await client.ask('x')).connectionId));
    const { code } = await server.stop();
    assert.equal(code, 0);
    for (const client of clients) assert.equal((await client.end()).code, 1001);
    for (const connectionId of ids) {
      const event = await server.printed(
        'DISCONNECT', (each) => each.requestContext.connectionId === connectionId, `the $disconnect of ${connectionId}`,
      );
      assert.equal(event.requestContext.disconnectStatusCode, 1001);
    }
  });

  test('that is asked twice stops at once', async (t) => {
    const gate = await openGate();
    const { server, pids } = await busyServer(t, gate);
    server.child.kill('SIGINT');
    server.child.kill('SIGINT');
    await within(server.exited, 'the server stops');
    await gone(pids);
  });
});
