// Subscriptions served natively, with unmodified clients of tRPC: each test runs with every
// version of @trpc/client that can do what it is about.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { WebSocket } from 'ws';

import { temporaryFolder } from '../harness/folder.mjs';
import { within } from '../harness/patience.mjs';
import { VERSIONS, client, serve } from '../harness/trpc.mjs';

const ELEVEN = VERSIONS.filter(({ isEleven }) => isEleven);

/** What is said to whom, through a client: says to how many subscriptions it was sent. */
const publish = async (from, message) => (await from.api.publish.mutate(message)).delivered;

for (const transformer of [undefined, 'superjson']) {
  describe(`subscriptions ${transformer ? 'with' : 'without'} superjson`, () => {
    let server;
    before(async () => {
      server = await serve(transformer ? { TRANSFORMER: transformer } : {});
    });
    after(() => server.stop());

    for (const version of VERSIONS) {
      const named = (what) => `@trpc/client ${version.version}: ${what}`;
      const open = (t, query = '', socket = {}) => {
        const opened = client(version, server.url + query, { transformer, socket });
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
        await ada.sockets[0].frames.find(({ sent }) => sent?.includes('subscription.stop'), 'the stop is sent');
        assert.equal(await publish(ada, { path: 'messages', room: 'x', text: 'still' }), 1);
        assert.deepEqual(await stays.next(), told('still'));
      });

      test(named('a stream ends by itself'), async (t) => {
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

      test(named('a stream of many events keeps their order'), async (t) => {
        const ada = open(t);
        const count = await ada.listen(ada.api.count, { count: 5000 });
        await count.feed.find((item) => item === 'complete', 'the stream ends');
        const got = count.feed.items.filter((item) => item.data).map(({ data }) => Number(data.id));
        assert.deepEqual(got, Array.from({ length: 5000 }, (_, i) => i));
      });

      test(named('errors reach the client, before and after a subscription begins'), async (t) => {
        const ada = open(t);
        assert.deepEqual(await ada.subscribe(ada.api.refused).next(), { error: 'not for you', code: 'FORBIDDEN' });
        const breaks = await ada.listen(ada.api.breaks);
        assert.deepEqual(await breaks.next(), { data: 'first' });
        assert.deepEqual(await breaks.next(), { error: 'it broke', code: 'CONFLICT' });
        await assert.rejects(ada.api.nope.query(), /No "query"-procedure on path "nope"/);
        await assert.rejects(ada.api.publish.mutate({ path: 7 }), (error) => error.data.code === 'BAD_REQUEST');
      });

      test(named('a context that is refused closes the connection'), async (t) => {
        const stranger = open(t, '?user=stranger');
        await within(new Promise((resolve) => {
          const look = () => (stranger.sockets.length > 1 ? resolve() : setImmediate(look));
          look();
        }), 'the client comes again');
        const [first] = stranger.sockets;
        const { received } = await first.frames.find(({ received }) => received, 'the client is told why');
        const { id, error } = JSON.parse(received);
        assert.deepEqual([id, (error.json ?? error).message], [null, 'who are you']);
        await first.frames.find(({ closed }) => closed === 1005, 'the server closes');
      });

      if (!version.isEleven) continue;

      test(named('connectionParams make the context'), async (t) => {
        const ada = open(t, '', { connectionParams: async () => ({ user: 'ada' }) });
        assert.equal(await ada.api.whoami.query(), 'ada');
        const [{ sent }] = ada.sockets[0].frames.items;
        assert.deepEqual(JSON.parse(sent), { method: 'connectionParams', data: { user: 'ada' } });
      });

      test(named('keepAlive holds a connection'), async (t) => {
        const ada = open(t, '', { keepAlive: { enabled: true, intervalMs: 20, pongTimeoutMs: 5000 } });
        await ada.listen(ada.api.messages, { room: 'quiet' });
        await ada.sockets[0].frames.count(({ received }) => received === 'PONG', 3, 'PINGs are answered');
        assert.equal(ada.sockets.length, 1);
      });
    }
  });
}

describe('a server that goes and comes', () => {
  for (const version of ELEVEN) {
    const named = (what) => `@trpc/client ${version.version}: ${what}`;

    for (const how of ['stop', 'kill']) {
      test(named(`nothing is lost and nothing doubled where it is ended by ${how}`), async (t) => {
        const data = temporaryFolder('trpc');
        let server = await serve({ DATA: data });
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
        server = await serve({ DATA: data, PORT: server.port });
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

    test(named('a client that missed what is not kept any more is told'), async (t) => {
      const data = temporaryFolder('trpc');
      let server = await serve({ DATA: data, KEEP: 2 });
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
      const elsewhere = await serve({ DATA: data, KEEP: 2 });
      const other = client(version, elsewhere.url);
      for (const text of ['two', 'three', 'four']) await publish(other, { path: 'events', room: 'a', text });
      other.close();
      await elsewhere.stop();
      server = await serve({ DATA: data, KEEP: 2, PORT: server.port });
      const { error, code } = await events.feed.find((item) => item.error, 'the client is told');
      assert.equal(code, 'PRECONDITION_FAILED');
      assert.match(error, /not kept any more; load what there is now/);
    });

    test(named('a client of an earlier server without a store is told'), async (t) => {
      let server = await serve();
      const ada = client(version, server.url);
      t.after(async () => {
        ada.close();
        await server.stop();
      });
      const events = await ada.listen(ada.api.events, { room: 'a' });
      await publish(ada, { path: 'events', room: 'a', text: 'one' });
      await events.feed.find((item) => item.data, 'the first event comes');
      await server.kill();
      server = await serve({ PORT: server.port });
      const { code } = await events.feed.find((item) => item.error, 'the client is told');
      assert.equal(code, 'PRECONDITION_FAILED');
    });
  }

  for (const version of VERSIONS) {
    test(`@trpc/client ${version.version}: it asks to reconnect, and closes with 1001 who stays`, async (t) => {
      const server = await serve();
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
  const server = await serve({ PROBE_MS: '50' });
  t.after(() => server.stop());
  const ada = client(ELEVEN.at(-1), server.url);
  t.after(() => ada.close());
  await ada.listen(ada.api.messages, { room: 'a' });
  await ada.sockets[0].frames.count(({ received }) => received === 'PING', 2, 'the client is asked');
  assert.equal(ada.sockets.length, 1);
});

test('another path is not served', async (t) => {
  const server = await serve();
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
