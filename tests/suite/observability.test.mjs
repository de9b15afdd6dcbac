// What `fanwire serve` tells of itself: health, metrics, who called what.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

import { app, fanwire, ROOT, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { join } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** Serves the app of the soak; what is told is at `telemetry`. */
async function served(text, options = {}) {
  const folder = temporaryFolder('serve');
  const file = path.join(folder, 'fanwire.serve.toml');
  writeFileSync(file, text);
  const server = await start(app('soak'), { command: 'serve', args: ['--config', file], ...options });
  return Object.assign(server, { folder, telemetry: server.ready.telemetry });
}

const OPEN = '[access]\nallow_anonymous = ["connections", "control", "mqtt"]\n';
const ANY = '[telemetry]\naddress = "127.0.0.1:0"\n';

/** The samples of `/metrics`, by name and labels as they are written. */
async function metrics({ telemetry }) {
  const text = await (await fetch(`http://${telemetry}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(' ');
    return [line.slice(0, at), Number(line.slice(at + 1))];
  }));
}

/** All samples of a metric, added up, whose labels have all of `labels` in them. */
function total(samples, name, ...labels) {
  return [...samples]
    .filter(([key]) => key.split('{')[0] === `fanwire_${name}` && labels.every((label) => key.includes(label)))
    .reduce((sum, [, value]) => sum + value, 0);
}

async function health(base, name) {
  const answer = await fetch(`http://${base}/${name}`);
  return { status: answer.status, body: await answer.json() };
}

describe('a server that serves', () => {
  let server;
  before(async () => { server = await served(OPEN + ANY); });
  after(() => server?.stop());

  test('says that it is alive and ready, at its own address and where clients connect', async () => {
    for (const base of [server.telemetry, server.host]) {
      assert.deepEqual(await health(base, 'healthz'), { status: 200, body: { alive: true } });
      const ready = await health(base, 'readyz');
      assert.equal(ready.status, 200);
      assert.equal(ready.body.ready, true);
      assert.deepEqual(ready.body.checks.map(({ name, ok }) => [name, ok]), [['clients', true], ['store', true]]);
    }
    assert.equal((await fetch(`http://${server.host}/metrics`)).status, 403);
    assert.equal((await fetch(`http://${server.telemetry}/metrics`, { method: 'POST' })).status, 405);
    assert.equal((await fetch(`http://${server.telemetry}/other`)).status, 404);
  });

  test('counts connections, messages and bytes of WebSockets', async () => {
    const before = await metrics(server);
    const client = await connect(server.url());
    const { connectionId } = JSON.parse(await client.ask('hello'));
    const sdk = new ApiGatewayManagementApiClient({
      endpoint: server.management(), region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    await sdk.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'posted' }));
    assert.equal(await client.next(), 'posted');
    const now = await metrics(server);
    const plane = 'plane="websocket"';
    const more = (name, ...labels) => total(now, name, ...labels) - total(before, name, ...labels);
    assert.equal(more('connections', plane), 1);
    assert.equal(more('messages_received_total', plane), 1);
    assert.equal(more('messages_routed_total', plane), 2);
    assert.equal(more('messages_sent_total', plane), 2);
    assert.ok(more('bytes_received_total', plane) >= 'hello'.length);
    assert.ok(more('bytes_sent_total', plane) >= 'posted'.length);
    assert.equal(more('handshakes_total', plane, 'outcome="accepted"'), 1);
    assert.ok(more('function_invocations_total', 'function="echo"') >= 2);
    assert.equal(more('function_duration_seconds_bucket', 'function="echo"', 'le="+Inf"'), more('function_invocations_total', 'function="echo"'));
    assert.ok(total(now, 'function_processes', 'function="echo"') >= 1);
    await client.close();
    await eventually(async () => total(await metrics(server), 'connections', plane) === total(before, 'connections', plane), 'the connection is gone');
  });

  test('counts a function that fails', async () => {
    const client = await connect(server.url());
    client.send({ action: 'crash' });
    await client.next();
    const now = await metrics(server);
    assert.equal(total(now, 'function_errors_total', 'function="crash"'), 1);
    assert.ok(total(now, 'websocket_requests_total', 'event="message"', 'outcome="error"') >= 1);
    await client.close();
  });

  test('counts messages of MQTT: those for clients are sent, dropped or waiting', async () => {
    const keeper = { clean: false, clientId: 'keeper', properties: { sessionExpiryInterval: 300 } };
    const away = await join(`mqtt://${server.host}`, keeper);
    await away.subscribe('news/#', { qos: 1 });
    await away.leave();
    const reader = await join(`mqtt://${server.host}`);
    await reader.subscribe('news/#', { qos: 0 });
    const writer = await join(`mqtt://${server.host}`);
    await writer.publish('news/a', 'one', { qos: 1, retain: true });
    await writer.publish('news/a', 'two', { qos: 0 });
    await eventually(() => reader.messages.items.length === 2, 'both have come');
    let now = await metrics(server);
    const plane = 'plane="realtime"';
    assert.equal(total(now, 'messages_received_total', plane), 2);
    assert.equal(total(now, 'messages_routed_total', plane), 3);
    assert.equal(total(now, 'messages_sent_total', plane), 2);
    assert.equal(total(now, 'messages_queued', plane), 1);
    assert.equal(total(now, 'mqtt_subscriptions'), 2);
    assert.equal(total(now, 'mqtt_sessions'), 3);
    assert.equal(total(now, 'mqtt_retained_messages'), 1);
    assert.ok(total(now, 'store_commits_total') > 0);
    assert.ok(total(now, 'store_written_bytes_total') > 0);
    // A clean session in its place: what waited is nobody's.
    const clean = await join(`mqtt://${server.host}`, { ...keeper, clean: true, properties: {} });
    await clean.leave();
    now = await metrics(server);
    assert.equal(total(now, 'messages_dropped_total', plane, 'reason="session_ended"'), 1);
    assert.equal(total(now, 'messages_queued', plane), 0);
    assert.equal(total(now, 'mqtt_subscriptions'), 1);
    await Promise.all([reader.leave(), writer.leave()]);
  });

  test('tells what it takes of the machine', async () => {
    const now = await metrics(server);
    assert.ok(total(now, 'process_resident_memory_bytes') > 1e6);
    assert.ok(total(now, 'process_open_fds') > 10);
    assert.ok(total(now, 'process_start_time_seconds') > 1.7e9);
    assert.equal(total(now, 'build_info', 'version='), 1);
  });

  test('is shown by `fanwire status` and `fanwire top`', async () => {
    const data = ['--data', server.data];
    const status = await fanwire(['status', ...data]);
    assert.equal(status.status, 0, status.stderr);
    assert.match(status.stdout, /^ready: fanwire /);
    assert.match(status.stdout, /^ *websocket +\d+/m);
    assert.match(status.stdout, /^ *echo +\d+/m);
    const json = JSON.parse((await fanwire(['status', '--json', ...data])).stdout);
    assert.equal(json.ready, true);
    assert.equal(json.metrics.fanwire_build_info[0].value, 1);
    const top = JSON.parse((await fanwire(['top', '--once', '--json', '--interval', '100ms', ...data])).stdout);
    assert.deepEqual(top.planes.map(({ plane }) => plane), ['websocket', 'realtime']);
    assert.match((await fanwire(['top', '--once', '--interval', '100ms', ...data])).stdout, /CONNECTIONS/);
    assert.equal((await fanwire(['status', '--url', 'http://127.0.0.1:9'])).status, 3);
  });
});

test('a server that sends its clients away is alive and not ready', async () => {
  const server = await served(`${OPEN}${ANY}[drain]\nwindow = "20s"\n`);
  const client = await connect(server.url());
  server.child.kill('SIGTERM');
  await eventually(async () => (await health(server.telemetry, 'readyz')).status === 503, 'the server is not ready');
  const { body } = await health(server.telemetry, 'readyz');
  assert.equal(body.ready, false);
  assert.match(body.checks.find(({ name }) => name === 'clients').why, /away/);
  assert.equal((await health(server.telemetry, 'healthz')).status, 200);
  client.socket.terminate();
  // Once more: it need not wait any longer.
  await server.stop();
});

describe('where it is told', () => {
  test('is nowhere, if the settings say so', async () => {
    const server = await served(`${OPEN}[telemetry]\naddress = "none"\n`);
    assert.equal(server.telemetry, null);
    await server.stop();
  });

  test('is no place that is taken: the server says so and does not start', async () => {
    const taken = net.createServer();
    await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
    const { port } = taken.address();
    await assert.rejects(served(`${OPEN}[telemetry]\naddress = "127.0.0.1:${port}"\n`));
    taken.close();
  });
});

test('calls are written down: who, what and whether, and no secret', async () => {
  const secret = 'a-secret-that-nobody-sees-0123456789';
  const server = await served([
    '[access]', 'allow_anonymous = ["mqtt"]',
    '[access.keys.backend]', 'id = "AKIDBACKEND0000"', 'secret = "${env:BACKEND_SECRET}"', 'allow = ["execute-api:ManageConnections"]',
    ANY, 'audit_file = "audit/calls.log"',
  ].join('\n'), { env: { BACKEND_SECRET: secret } });
  const client = await connect(server.url());
  const { connectionId } = JSON.parse(await client.ask('x'));
  const post = (secretAccessKey) => new ApiGatewayManagementApiClient({
    endpoint: server.management(), region: 'us-east-1', maxAttempts: 1,
    credentials: { accessKeyId: 'AKIDBACKEND0000', secretAccessKey },
  }).send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'the body' }));
  await post(secret);
  await assert.rejects(post('wrong'));
  const text = readFileSync(path.join(server.folder, 'audit/calls.log'), 'utf8');
  const [allowed, denied] = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(allowed.result, 'allowed');
  assert.equal(allowed.caller, 'backend');
  assert.equal(allowed.action, 'execute-api:ManageConnections');
  assert.match(allowed.resource, /@connections/);
  assert.equal(allowed.sourceIp, '127.0.0.1');
  assert.match(allowed.time, /^\d{4}-\d\d-\d\dT/);
  assert.equal(denied.result, 'denied');
  assert.match(denied.error, /Signature/);
  assert.doesNotMatch(text, /the body|a-secret/);
  const counted = await metrics(server);
  assert.equal(total(counted, 'api_calls_total', 'outcome="allowed"'), 1);
  assert.equal(total(counted, 'api_calls_total', 'outcome="denied"'), 1);
  await client.close();
  await server.stop();
});

test('calls to an API that is open to everybody are written down, with nobody as who calls', async () => {
  const server = await served(`${OPEN}${ANY}audit_file = "calls.log"\n`);
  const client = await connect(server.url());
  const { connectionId } = JSON.parse(await client.ask('x'));
  const url = new URL(`@connections/${connectionId}`, `${server.management().replace(/\/*$/, '')}/`);
  const post = async (headers) => (await fetch(url, { method: 'POST', body: 'the body', headers })).status;
  assert.equal(await post({}), 200);
  assert.equal(await post({ origin: 'https://elsewhere.example' }), 403);
  const text = readFileSync(path.join(server.folder, 'calls.log'), 'utf8');
  const [allowed, denied] = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual([allowed.result, allowed.caller, allowed.action], ['allowed', null, 'execute-api:ManageConnections']);
  assert.match(allowed.resource, /POST\/@connections/);
  assert.equal(allowed.sourceIp, '127.0.0.1');
  assert.deepEqual([denied.result, denied.caller, denied.error], ['denied', null, 'ForbiddenException']);
  await client.close();
  await server.stop();
});

describe('what is shipped with it', () => {
  const documented = new Set([...readFileSync(path.join(ROOT, 'docs/metrics.md'), 'utf8').matchAll(/^\| `(fanwire_\w+)`/gm)].map(([, name]) => name));
  const isKnown = (name) => documented.has(name) || documented.has(name.replace(/_(bucket|sum|count)$/, ''));
  for (const file of ['packaging/grafana/fanwire.json', 'packaging/prometheus/alerts.yml']) {
    test(`${file} asks for metrics that there are`, () => {
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      if (file.endsWith('.json')) JSON.parse(text);
      const names = new Set(text.match(/fanwire_\w+/g));
      assert.ok(names.size > 5);
      assert.deepEqual([...names].filter((name) => !isKnown(name)), []);
    });
  }
});
