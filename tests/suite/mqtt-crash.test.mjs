// The server is killed again and again while clients publish: mqtt.js, which comes back by itself and sends again what
// was not acknowledged. What was reaches every session that is entitled to it, however long that is away, in order, and
// with QoS 2 all the way once; what a session may not have, it never gets.
//
// CRASH_ROUNDS=50 kills that often; CRASH_SEED repeats a run's choices, which a failure names.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Peer, join } from '../harness/mqtt.mjs';
import { PATIENCE_MS, within } from '../harness/patience.mjs';

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 10);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** What a publisher has sent before the first of it is acknowledged. */
const WINDOW = 20;

/** The most acknowledgements before a kill. */
const MOST = 300;

/** Where nobody listens: for clients while there is no server, whose port might become somebody else's. */
const NOWHERE = 1;

/** The guest may subscribe to everything and gets only what is open. Its password is `open sesame`. */
const APP = `
name = "crash"
profile = "open"

[realtime]
allow_anonymous = true

[realtime.users.guest]
password = "$argon2id$v=19$m=1024,t=1,p=1$e+jJMs9UtaFzI5VjbIEnBQ$ehGu5phzYP87BYLnb9MYY2+5CtlixKX+p/KHW71y7Ns"
subscribe = ["crash/*"]
receive = ["crash/open/*"]
`;

test('nothing acknowledged is lost, and nothing goes astray, when the server is killed again and again', { timeout: (ROUNDS + 4) * PATIENCE_MS }, async (context) => {
  context.diagnostic(`CRASH_SEED=${SEED}, ${ROUNDS} rounds`);
  const world = new World();
  for (let round = 0; round < ROUNDS; round += 1) await world.round(round);
  const retained = await world.settle();
  const acknowledged = world.publishers.flatMap((publisher) => publisher.acknowledged);
  for (const subscriber of world.subscribers) {
    const wanted = acknowledged.filter((text) => subscriber.entitled(text));
    const lost = wanted.filter((text) => !subscriber.received.has(text));
    assert.deepEqual(lost, [], `lost for ${subscriber.id}, of ${wanted.length}`);
    assert.deepEqual(subscriber.astray, [], `gone astray to ${subscriber.id}`);
    for (const { id } of world.publishers) {
      const numbers = [...subscriber.received.keys()].filter((text) => text.startsWith(id)).map(number);
      assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b), `out of order for ${subscriber.id}`);
    }
    const again = world.publishers.map(({ id }) => subscriber.again(id));
    if (subscriber.qos === 2) assert.equal(again[1], 0, `more than once for ${subscriber.id}, with QoS 2`);
    context.diagnostic(`${subscriber.id}: ${wanted.length} messages; more than once ${again.join(' and ')} of the publishers`);
  }
  const states = world.publishers[0].acknowledged.filter((text) => kind(number(text)) === 'state');
  assert.ok(number(retained) >= number(states.at(-1)), `${retained} is retained after ${states.at(-1)}`);
});

/** A server's data, and who uses it. */
class World {
  folder = temporaryFolder('crash');
  data = temporaryFolder('crash-data');
  random = generator(SEED);
  publishers = [
    new Publisher('qos-1', { version: 5, qos: 1 }),
    new Publisher('qos-2', { version: 4, qos: 2 }),
  ];
  subscribers = [
    new Subscriber('reader-5', { version: 5 }),
    new Subscriber('reader-4', { version: 4 }),
    new Subscriber('exact-5', { version: 5, qos: 2 }),
    new Subscriber('exact-4', { version: 4, qos: 2 }),
    new Subscriber('guest', { version: 5, guest: true }),
    // Away most of the time.
    new Subscriber('sleeper', { version: 5, every: 5 }),
  ];

  constructor() {
    writeFileSync(`${this.folder}/fanwire.toml`, APP);
  }

  get everybody() {
    return [...this.publishers, ...this.subscribers];
  }

  /** One life of the server. */
  async round(round) {
    this.server = await start(this.folder, { args: ['--data', this.data] });
    const present = this.everybody.filter(({ every }) => round % every === 0);
    const arrivals = present.map((each) => each.arrive(this.server.port));
    // Now and then it dies while they are still coming back.
    if (round > 0 && this.random() < 0.2) await Promise.race(arrivals);
    else await this.talk(arrivals, Math.floor(this.random() * MOST));
    for (const each of present) each.lose();
    await this.server.kill();
    assert.doesNotMatch(this.server.stderr, /panicked/);
    for (const each of this.everybody) assert.deepEqual(each.problems, [], `${each.id} in round ${round}`);
  }

  /** Lets publishers publish until so much more is acknowledged, with as much again on its way. */
  async talk(arrivals, enough) {
    await Promise.all(arrivals);
    const count = () => this.publishers.reduce((sum, publisher) => sum + publisher.acknowledged.length, 0);
    const goal = count() + enough;
    await within(new Promise((resolve) => {
      for (const publisher of this.publishers) publisher.begin(() => count() >= goal && resolve());
      if (enough === 0) resolve();
    }), `${enough} messages are acknowledged`);
  }

  /** The last life, in which everybody gets what they have not got yet. Resolves with what is retained. */
  async settle() {
    this.server = await start(this.folder, { args: ['--data', this.data] });
    await Promise.all(this.everybody.map((each) => each.arrive(this.server.port)));
    await Promise.all(this.publishers.map((publisher) => within(publisher.finish(), `all of ${publisher.id} is acknowledged`)));
    const last = await join(`mqtt://${this.server.host}`);
    for (const topic of ['crash/secret/end', 'crash/open/end']) await last.publish(topic, 'end', { qos: 1 });
    // What a session gets comes in order, so that this is the last.
    await Promise.all(this.subscribers.map((subscriber) => within(subscriber.ended, `${subscriber.id} gets the end`)));
    await last.subscribe('crash/open/state', { qos: 1 });
    const { payload, retain } = await last.next('the retained message');
    assert.ok(retain);
    for (const each of this.everybody) {
      assert.deepEqual(each.problems, [], each.id);
      each.leave();
    }
    await last.leave();
    const { code } = await this.server.stop();
    assert.equal(code, 0);
    assert.doesNotMatch(this.server.stderr, /panicked/);
    return payload.trimEnd();
  }
}

/** A client with a session that outlives its connections. */
class Client {
  every = 1;
  problems = [];

  constructor(id, version) {
    Object.assign(this, { id, version });
  }

  /** Connects, or comes back, and resolves once it is there. */
  arrive(port) {
    if (this.client) this.client.options.port = port;
    else this.connect(port);
    return within(new Promise((resolve) => {
      this.client.once('connect', resolve);
    }), `${this.id} is connected`).then(() => this.arrived());
  }

  connect(port, options = {}) {
    const peer = new Peer(`mqtt://127.0.0.1:${port}`, {
      clientId: `crash-${this.id}`,
      protocolVersion: this.version,
      clean: false,
      reconnectPeriod: 20,
      ...(this.version === 5 ? { properties: { sessionExpiryInterval: 99_999 } } : {}),
      ...options,
    });
    this.client = peer.client;
    this.peer = peer;
  }

  arrived() {}

  /** The server is about to go. */
  lose() {
    this.client.options.port = NOWHERE;
  }

  leave() {
    this.client?.end(true);
    this.client = undefined;
  }
}

/** Publishes numbered messages, with several on their way at a time. */
class Publisher extends Client {
  next = 0;
  /** Payloads, in the order of their acknowledgements. */
  acknowledged = [];
  outstanding = new Set();
  told = () => {};

  constructor(id, { version, qos }) {
    super(id, version);
    this.qos = qos;
  }

  begin(told) {
    this.told = told;
    while (this.outstanding.size < WINDOW) this.send();
  }

  send() {
    const text = `${this.id} ${this.next}`;
    const topic = { open: 'crash/open/talk', secret: 'crash/secret/talk', state: 'crash/open/state' }[kind(this.next)];
    // Some are large enough to be stored apart from the queues that they are in.
    const payload = this.next % 3 === 0 ? text.padEnd(1000) : text;
    const retain = kind(this.next) === 'state' && this.qos === 1;
    this.next += 1;
    const sent = this.peer.publish(topic, payload, { qos: this.qos, retain }).then(() => {
      this.acknowledged.push(text);
    }, (error) => {
      // Now and then mqtt.js gives one up with its connection, and nobody was promised anything.
      if (error.message !== 'Connection closed') this.problems.push(`${text}: ${error.message}`);
    }).then(() => {
      this.outstanding.delete(sent);
      if (!this.finishing) this.send();
      this.told();
    });
    this.outstanding.add(sent);
  }

  /** Publishes no more, and waits for the rest to be acknowledged. */
  finish() {
    this.finishing = true;
    return Promise.all(this.outstanding);
  }
}

/** Has one session all the time, and is connected some of it. */
class Subscriber extends Client {
  /** How often each payload came, in the order in which they first did. */
  received = new Map();
  /** What it should never have got. */
  astray = [];
  subscribed = false;

  constructor(id, { version, qos = 1, guest = false, every = 1 }) {
    super(id, version);
    Object.assign(this, { qos, guest, every });
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  /** Whether it should get this message. */
  entitled(text) {
    return !this.guest || kind(number(text)) !== 'secret';
  }

  connect(port) {
    super.connect(port, this.guest ? { username: 'guest', password: 'open sesame' } : {});
    // What waits for it comes right behind CONNACK.
    this.client.on('message', (topic, payload) => this.take(topic, String(payload).trimEnd()));
    this.client.on('connect', ({ sessionPresent }) => {
      if (sessionPresent !== this.subscribed) this.problems.push(`session present: ${sessionPresent}`);
    });
  }

  take(topic, text) {
    if (this.guest && topic.startsWith('crash/secret/')) this.astray.push(text);
    if (topic === 'crash/open/end') this.end();
    if (text !== 'end') this.received.set(text, (this.received.get(text) ?? 0) + 1);
  }

  /** How many messages of a publisher came more than once. */
  again(publisher) {
    return [...this.received].filter(([text, times]) => text.startsWith(publisher) && times > 1).length;
  }

  async arrived() {
    if (this.subscribed) return;
    assert.deepEqual(await this.peer.subscribe('crash/#', { qos: this.qos }), [this.qos]);
    this.subscribed = true;
  }

  lose() {
    if (this.every > 1) this.leave();
    else super.lose();
  }
}

/** What the message of a number is. */
function kind(number) {
  if (number % 10 === 9) return 'state';
  return number % 2 === 0 ? 'open' : 'secret';
}

const number = (text) => Number(text.split(' ')[1]);

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
