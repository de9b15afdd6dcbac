// Subscriptions of an app in Rust, with unmodified clients of tRPC: each test runs in every home of the app that can do
// what it is about, and with every version of @trpc/client that can.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { WebSocket } from 'ws';

import { temporaryFolder } from '../harness/folder.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { ROOMS, VERSIONS, client, rooms } from '../harness/trpc.mjs';

const ELEVEN = VERSIONS.filter(({ isEleven }) => isEleven);

/** What is said to whom, through a client: says to how many subscriptions it was sent. */
const publish = async (from, message) => (await from.api.publish.mutate(message)).delivered;

for (const { home, isServer, start } of ROOMS) for (const transformer of [undefined, 'superjson']) {
  describe(`subscriptions ${transformer ? 'with' : 'without'} superjson, of ${home}`, () => {
    let server;
    before(async () => {
      server = await start(transformer ? { TRANSFORMER: transformer } : {});
    });
    after(() => server?.stop());

    for (const version of VERSIONS) {
      const named = (what) => `@trpc/client ${version.version}: ${what}`;
      const open = (t, query = '', options = {}) => {
        const opened = client(version, server.url + query, { transformer, ...options });
        t.after(() => opened.close());
        return opened;
      };
      /** What subscribers are told of a message. */
      const told = (text) => ({ data: { text, at: transformer ? new Date(0) : '1970-01-01T00:00:00.000Z' } });

      test(named('queries and mutations work over the socket'), async (t) => {
        const ada = open(t, '?user=ada');
        assert.equal(await ada.api.whoami.query(), 'ada');
        assert.equal(await publish(ada, { path: 'messages', text: 'to nobody' }), 0);
      });

      test(named('a message reaches the subscribers of its room, and no room of a longer name'), async (t) => {
        const ada = open(t, '?user=ada');
        const one = await ada.listen(ada.api.messages, { room: 'name1' });
        const ten = await ada.listen(ada.api.messages, { room: 'name10' });
        assert.equal(await publish(ada, { path: 'messages', room: 'name1', text: 'hi' }), 1);
        assert.equal(await publish(ada, { path: 'messages', room: 'name10', text: 'ten' }), 1);
        assert.deepEqual(await one.next(), told('hi'));
        assert.deepEqual(await ten.next(), told('ten'));
        assert.deepEqual([one.feed.items, ten.feed.items], [[], []]);
      });

      test(named('leading parts of a filter reach all behind them, and no filter everybody, once each'), async (t) => {
        const [ada, bob] = [open(t, '?user=ada'), open(t, '?user=bob')];
        const all = [
          await ada.listen(ada.api.messages, { room: 'a' }),
          await ada.listen(ada.api.messages, { room: 'b' }),
          await bob.listen(bob.api.messages, { room: 'a' }),
        ];
        assert.equal(await publish(bob, { path: 'messages', user: 'ada', text: 'ada' }), 2);
        assert.equal(await publish(bob, { path: 'messages', user: 'bob', room: 'a', text: 'bob' }), 1);
        assert.equal(await publish(bob, { path: 'messages', text: 'all' }), 3);
        const wanted = [['ada', 'all'], ['ada', 'all'], ['bob', 'all']];
        for (const [index, texts] of wanted.entries()) {
          for (const text of texts) assert.deepEqual(await all[index].next(), told(text));
          assert.deepEqual(all[index].feed.items, []);
        }
      });

      test(named('a subscription that is stopped gets nothing more'), async (t) => {
        const ada = open(t, '?user=ada');
        const [stays, goes] = [await ada.listen(ada.api.messages, { room: 'x' }), await ada.listen(ada.api.messages, { room: 'x' })];
        goes.stop();
        await ada.sockets[0].frames.find(({ received }) => received?.includes('"stopped"'), 'the stop is answered');
        assert.equal(await publish(ada, { path: 'messages', room: 'x', text: 'still' }), 1);
        assert.deepEqual(await stays.next(), told('still'));
      });

      if (isServer) test(named('a stream ends by itself'), async (t) => {
        const ada = open(t);
        const count = await ada.listen(ada.api.count, { count: 3 });
        for (const i of [0, 1, 2]) {
          const { data } = await count.next();
          // v10 knows nothing of tracked events: it gives what it gets.
          assert.deepEqual(data.data ?? data, i);
        }
        const ends = [await count.next(), await count.next()];
        assert.ok(ends.includes('complete'), JSON.stringify(ends));
      });

      if (isServer) test(named('a stream of many events keeps their order'), async (t) => {
        const ada = open(t);
        const count = await ada.listen(ada.api.count, { count: 5000 });
        await count.feed.find((item) => item === 'complete', 'the stream ends');
        const got = count.feed.items.filter((item) => item.data).map(({ data }) => Number(data.id));
        assert.deepEqual(got, Array.from({ length: 5000 }, (_, i) => i));
      });

      if (isServer) test(named('a stream that breaks says why'), async (t) => {
        const ada = open(t);
        const breaks = await ada.listen(ada.api.breaks);
        assert.deepEqual(await breaks.next(), { data: 'first' });
        assert.deepEqual(await breaks.next(), { error: 'it broke', code: 'CONFLICT' });
      });

      if (!isServer) test(named('a stream is refused where no server lives'), async (t) => {
        const ada = open(t);
        assert.equal((await ada.subscribe(ada.api.count, { count: 3 }).next()).code, 'NOT_IMPLEMENTED');
      });

      test(named('errors reach the client'), async (t) => {
        const ada = open(t);
        assert.deepEqual(await ada.subscribe(ada.api.refused).next(), { error: 'not for you', code: 'FORBIDDEN' });
        await assert.rejects(ada.api.nope.query(), /No "query"-procedure on path "nope"/);
        await assert.rejects(ada.api.publish.mutate({ path: 7 }), (error) => error.data.code === 'BAD_REQUEST');
      });

      test(named('a procedure for members refuses who has not said who it is'), async (t) => {
        const unauthorized = (error) => error.data.code === 'UNAUTHORIZED' && error.message === 'say who you are';
        await assert.rejects(open(t).api.members.secret.query(), unauthorized);
        assert.equal(await open(t, '', { headers: { 'x-user': 'ada' } }).api.members.secret.query(), 'hello ada');
        if (!version.isEleven) return;
        const by = (connectionParams) => open(t, '', { socket: { connectionParams: () => connectionParams } });
        await assert.rejects(by({}).api.members.secret.query(), unauthorized);
        assert.equal(await by({ user: 'ada' }).api.members.secret.query(), 'hello ada');
      });

      const strangers = { 'its query': ['?user=stranger'], 'a header': ['', { headers: { 'x-user': 'stranger' } }] };
      if (version.isEleven) strangers.connectionParams = ['', { socket: { connectionParams: () => ({ user: 'stranger' }) } }];

      if (!isServer) for (const [by, how] of Object.entries(strangers)) {
        test(named(`who is refused by ${by} is told so by each call`), async (t) => {
          const stranger = open(t, ...how);
          const unauthorized = (error) => error.data.code === 'UNAUTHORIZED' && error.message === 'who are you';
          await assert.rejects(stranger.api.whoami.query(), unauthorized);
          const told = await stranger.subscribe(stranger.api.messages, { room: 'a' }).next();
          assert.deepEqual(told, { error: 'who are you', code: 'UNAUTHORIZED' });
        });
      }

      if (isServer) for (const [by, how] of Object.entries(strangers)) test(named(`who is refused by ${by} is disconnected and told why`), async (t) => {
        const stranger = open(t, ...how);
        await within(new Promise((resolve) => {
          const look = () => (stranger.sockets.length > 1 ? resolve() : setImmediate(look));
          look();
        }), 'the client comes again');
        const [first] = stranger.sockets;
        const { received } = await first.frames.find(({ received }) => received, 'the client is told why');
        const { id, error } = JSON.parse(received);
        const { message, data } = error.json ?? error;
        assert.deepEqual([id, message, data.code], [null, 'who are you', 'UNAUTHORIZED']);
        await first.frames.find(({ closed }) => closed === 1005, 'the server closes');
      });

      test(named('dates, big integers, sets and maps go and come'), async (t) => {
        const ada = open(t);
        const [opened, cents] = [new Date(951_782_400_000), 9_007_199_254_740_993n];
        const ledger = transformer
          ? {
            opened, cents, owners: new Set(['ada', 'bob']), closed: null,
            entries: new Map([[new Date(-1), [1n, -(2n ** 100n)]], [new Date(7), []]]),
          }
          : {
            opened: opened.toISOString(), cents: `${cents}`, owners: ['ada', 'bob'], closed: null,
            entries: [['1969-12-31T23:59:59.999Z', ['1', `-${2n ** 100n}`]], ['1970-01-01T00:00:00.007Z', []]],
          };
        const watched = await ada.listen(ada.api.ledgers, ledger);
        assert.deepEqual(await ada.api.keep.mutate(ledger), ledger);
        assert.deepEqual(await watched.next(), { data: ledger });
        await assert.rejects(ada.api.keep.mutate({ ...ledger, opened: 'yesterday' }), (error) => error.data.code === 'BAD_REQUEST');
      });

      if (!version.isEleven) continue;

      test(named('connectionParams make the context'), async (t) => {
        const ada = open(t, '', { socket: { connectionParams: async () => ({ user: 'ada' }) } });
        assert.equal(await ada.api.whoami.query(), 'ada');
        const [{ sent }] = ada.sockets[0].frames.items;
        assert.deepEqual(JSON.parse(sent), { method: 'connectionParams', data: { user: 'ada' } });
      });

      test(named('keepAlive holds a connection'), async (t) => {
        const ada = open(t, '', { socket: { keepAlive: { enabled: true, intervalMs: 20, pongTimeoutMs: 5000 } } });
        await ada.listen(ada.api.messages, { room: 'quiet' });
        await ada.sockets[0].frames.count(({ received }) => received === 'PONG', 3, 'PINGs are answered');
        assert.equal(ada.sockets.length, 1);
      });
    }
  });
}

for (const { home, start } of ROOMS) describe(`${home} that goes and comes`, () => {
  for (const version of ELEVEN) {
    const named = (what) => `@trpc/client ${version.version}: ${what}`;

    for (const how of ['stop', 'kill']) {
      test(named(`nothing is lost and nothing doubled where it is ended by ${how}`), async (t) => {
        const data = temporaryFolder('trpc');
        let server = await start({ data });
        const ada = client(version, server.url);
        t.after(async () => {
          ada.close();
          await server.stop();
        });
        const events = await ada.listen(ada.api.events, { room: 'a' });
        const others = await ada.listen(ada.api.events, { room: 'b' });
        const say = async (room, ...texts) => {
          const from = client(version, server.url);
          for (const text of texts) await publish(from, { path: 'events', room, text });
          from.close();
        };
        const texts = async (count) => {
          const got = await events.feed.count((item) => item.data, count, `${count} events come`);
          return got.map((item) => item.data.data.text);
        };
        await say('a', 'one', 'two');
        assert.deepEqual(await texts(2), ['one', 'two']);
        await server[how]();
        // While nobody is connected, or one client is back and the other is not.
        server = await start({ data, port: server.port });
        await say('a', 'three');
        await say('b', 'other');
        await say('a', 'four');
        assert.deepEqual(await texts(4), ['one', 'two', 'three', 'four']);
        await say('a', 'five');
        assert.deepEqual(await texts(5), ['one', 'two', 'three', 'four', 'five']);
        assert.equal(events.feed.items.filter(({ error }) => error).length, 0);
        // The other one had no event to come back to, and is there now.
        await say('b', 'again');
        await others.feed.find(({ data }) => data?.data.text === 'again', 'the other room hears');
      });
    }

    test(named('a client of an earlier one with another store is told'), async (t) => {
      let server = await start();
      const ada = client(version, server.url);
      t.after(async () => {
        ada.close();
        await server.stop();
      });
      const events = await ada.listen(ada.api.events, { room: 'a' });
      await publish(ada, { path: 'events', room: 'a', text: 'one' });
      await events.feed.find((item) => item.data, 'the first event comes');
      await server.kill();
      server = await start({ port: server.port });
      const { code } = await events.feed.find((item) => item.error, 'the client is told');
      assert.equal(code, 'PRECONDITION_FAILED');
    });
  }
});

describe('a server of its own', () => {
  for (const version of ELEVEN) {
    const named = (what) => `@trpc/client ${version.version}: ${what}`;

    test(named('a client that missed what is not kept any more is told'), async (t) => {
      const data = temporaryFolder('trpc');
      let server = await rooms({ data, KEEP: 2 });
      const ada = client(version, server.url);
      t.after(async () => {
        ada.close();
        await server.stop();
      });
      const events = await ada.listen(ada.api.events, { room: 'a' });
      const teller = client(version, server.url);
      await publish(teller, { path: 'events', room: 'a', text: 'one' });
      teller.close();
      await events.feed.find((item) => item.data, 'the first event comes');
      await server.kill();
      // Nobody may come back before more has been said than is kept.
      const elsewhere = await rooms({ data, KEEP: 2 });
      const other = client(version, elsewhere.url);
      for (const text of ['two', 'three', 'four']) await publish(other, { path: 'events', room: 'a', text });
      other.close();
      await elsewhere.stop();
      server = await rooms({ data, KEEP: 2, port: server.port });
      const { error, code } = await events.feed.find((item) => item.error, 'the client is told');
      assert.equal(code, 'PRECONDITION_FAILED');
      assert.match(error, /not kept any more; load what there is now/);
    });
  }

  for (const version of VERSIONS) {
    test(`@trpc/client ${version.version}: it asks to reconnect, and closes with 1001 who stays`, async (t) => {
      const server = await rooms();
      const ada = client(version, server.url);
      t.after(() => ada.close());
      await ada.listen(ada.api.messages, { room: 'a' });
      const stays = new WebSocket(server.url);
      t.after(() => stays.terminate());
      const closed = new Promise((resolve) => stays.on('close', resolve));
      await within(new Promise((resolve) => stays.on('open', resolve)), 'the other client connects');
      stays.send('PING');
      await within(new Promise((resolve) => stays.once('message', resolve)), 'it is on its shard');
      await server.stop();
      assert.equal(await within(closed, 'the server says goodbye'), 1001);
      const [first] = ada.sockets;
      assert.ok(first.frames.items.some(({ received }) => received === '{"id":null,"method":"reconnect"}'));
    });
  }
});

test('a server that asks by PING who is there keeps the clients of v11', async (t) => {
  const server = await rooms({ PROBE_MS: '50' });
  t.after(() => server.stop());
  const ada = client(ELEVEN.at(-1), server.url);
  t.after(() => ada.close());
  await ada.listen(ada.api.messages, { room: 'a' });
  await ada.sockets[0].frames.count(({ received }) => received === 'PING', 2, 'the client is asked');
  assert.equal(ada.sockets.length, 1);
});

test('another path is not served', async (t) => {
  const server = await rooms();
  t.after(() => server.stop());
  const socket = new WebSocket(`${server.url}/more`);
  const [, response] = await within(new Promise((resolve) => {
    socket.on('error', () => {});
    socket.on('unexpected-response', (...args) => resolve(args));
  }), 'the handshake is refused');
  assert.equal(response.statusCode, 403);
  response.destroy();
  const plain = await fetch(server.url.replace('ws:', 'http:'));
  assert.equal(plain.status, 426);
});
