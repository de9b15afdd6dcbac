// A new `fanwire serve` takes the place of one that leaves, on one machine, with clients that nobody here wrote: mqtt.js
// comes back by itself and sends again what was not acknowledged, `ws` is told goodbye and connects again.

import assert from 'node:assert/strict';
import { cpSync, readFileSync, appendFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import mqtt from 'mqtt';

import { Fanwire, app } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { PATIENCE_MS, eventually, within } from '../harness/patience.mjs';
import { freePort } from '../harness/port.mjs';
import { connect } from '../harness/websocket.mjs';

/** Where an app is served by one process after the other. */
class Place {
  folder = temporaryFolder('rolling');
  data = temporaryFolder('rolling-data');
  ends = path.join(temporaryFolder('rolling-ends'), 'ends');

  async open() {
    [this.port, this.mqttPort, this.metricsPort] = [await freePort(), await freePort(), await freePort()];
    cpSync(app('cluster'), this.folder, { recursive: true });
    appendFileSync(path.join(this.folder, 'fanwire.toml'), `\n[[realtime.listen]]\naddress = "127.0.0.1:${this.mqttPort}"\n`);
    writeFileSync(path.join(this.folder, 'fanwire.serve.toml'), [
      `[[listen]]\naddress = "127.0.0.1:${this.port}"`,
      '[access]\nallow_anonymous = ["mqtt"]',
      `[telemetry]\naddress = "127.0.0.1:${this.metricsPort}"`,
      '[drain]\nwindow = "1s"\ngrace = "10s"\n',
    ].join('\n'));
    writeFileSync(this.ends, '');
    return this;
  }

  /** Starts a server, which may have to wait before it is ready. */
  begin() {
    return new Fanwire(this.folder, ['--data', this.data], { ENDS: this.ends }, 'serve', false);
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/dev`;
  }
}

/** An mqtt.js that comes back by itself to a session that stays. */
async function persistent(url, clientId) {
  const client = mqtt.connect(url, {
    protocolVersion: 5, clientId, clean: false, properties: { sessionExpiryInterval: 600 },
    reconnectPeriod: 20, connectTimeout: 15_000, resubscribe: false,
  });
  const seen = { client, received: [], sessions: [], refused: [] };
  client.on('message', (topic, payload) => seen.received.push(String(payload)));
  client.on('connect', ({ sessionPresent }) => seen.sessions.push(sessionPresent));
  client.on('error', (error) => seen.refused.push(error.code));
  await within(new Promise((resolve) => client.once('connect', resolve)), `${clientId} connects`);
  return seen;
}

const ready = (server) => server.events.find(({ type }) => type === 'ready', 'the server is ready', PATIENCE_MS);
const news = (server, pattern) => server.events.find(({ type, text }) => type === 'news' && pattern.test(text), String(pattern));

test('a new server takes the place of one that leaves: nothing acknowledged is lost, everybody is told once', { timeout: 120_000 }, async () => {
  const place = await new Place().open();
  const first = place.begin();
  await ready(first);
  const clients = await Promise.all(Array.from({ length: 5 }, () => connect(place.url)));
  const ids = await Promise.all(clients.map((client) => client.ask('who am I?')));
  const reader = await persistent(`mqtt://127.0.0.1:${place.mqttPort}`, 'reader');
  await reader.client.subscribeAsync('rolling/#', { qos: 1 });
  const writer = await persistent(`mqtt://127.0.0.1:${place.port}`, 'writer');

  // It publishes until it is told to end, whoever serves.
  const acknowledged = [];
  let goesOn = true;
  const publishing = (async () => {
    for (let number = 0; goesOn; number += 1) {
      await writer.client.publishAsync('rolling/x', String(number), { qos: 1 });
      acknowledged.push(String(number));
    }
  })();
  await eventually(() => acknowledged.length > 100, 'messages are acknowledged');

  const second = place.begin();
  const { text } = await news(second, /^waiting/);
  assert.match(text, new RegExp(`for process ${first.child.pid} to leave .*realtime; it does on SIGTERM`));
  const more = acknowledged.length + 100;
  await eventually(() => acknowledged.length > more, 'the first one serves on');
  first.child.kill('SIGTERM');
  const closes = await Promise.all(clients.map(({ closed }) => within(closed, 'goodbye')));
  assert.deepEqual(new Set(closes.map(({ code }) => code)), new Set([1001]));
  const returned = connect(place.url);
  assert.equal((await within(first.exited, 'the first one ends')).code, 0);
  await ready(second);
  assert.equal((await fetch(`http://127.0.0.1:${place.metricsPort}/readyz`)).status, 200);

  const client = await returned;
  assert.match(await client.ask('who am I?'), /=$/);
  const enough = acknowledged.length + 100;
  await eventually(() => acknowledged.length > enough, 'messages are acknowledged again');
  goesOn = false;
  await within(publishing, 'the last one is acknowledged');
  await eventually(() => reader.received.at(-1) === acknowledged.at(-1), 'the last one comes');
  const received = new Set(reader.received);
  assert.deepEqual(acknowledged.filter((number) => !received.has(number)), []);
  assert.deepEqual(reader.sessions.slice(1), [true]);
  assert.deepEqual(writer.sessions.slice(1), [true]);
  const told = readFileSync(place.ends, 'utf8').split('\n').filter(Boolean);
  assert.deepEqual(told.sort(), ids.sort());
  await client.close();
  await Promise.all([reader, writer].map((peer) => peer.client.endAsync(true)));
  await second.stop();
});

test('an address that another app has is refused, and not shared with it', { timeout: 60_000 }, async () => {
  const place = await new Place().open();
  const first = place.begin();
  await ready(first);
  // The same addresses, and a data folder of its own: it takes over from nobody.
  place.data = temporaryFolder('rolling-other');
  const stranger = place.begin();
  assert.equal((await within(stranger.exited, 'it ends')).code, 1);
  assert.match(stranger.stderr, new RegExp(`127.0.0.1:${place.port}.*in use`));
  await first.stop();
});
