// The examples in Rust: each is the same program in both of its homes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Feed, eventually, within } from '../harness/patience.mjs';
import { HOMES } from '../harness/home.mjs';
import { join, unique } from '../harness/mqtt.mjs';
import { VERSIONS, client } from '../harness/trpc.mjs';
import { connect, refused } from '../harness/websocket.mjs';

/** Describes an example in each home that it is built for. */
function each(folder, name, tests, homes = HOMES) {
  for (const { home, start } of homes) {
    describe(`${folder} as ${home}`, () => {
      const held = {};
      before(async () => Object.assign(held, { app: await start(folder, name) }));
      after(async () => {
        const { code } = await held.app?.stop() ?? {};
        assert.equal(code, 0);
      });
      tests(() => held.app);
    });
  }
}

each('rust-chat', 'chat', (app) => {
  test('tells everyone what anyone says, who came and who left', async () => {
    const ada = await connect(`${app().websocket}?name=Ada`);
    const grace = await connect(`${app().websocket}?name=Grace`);
    assert.deepEqual(await ada.json(), { joined: 'Grace' });
    ada.send({ action: 'say', text: 'hello' });
    for (const person of [ada, grace]) {
      assert.deepEqual(await person.json(), { said: { from: 'Ada', text: 'hello' } });
    }
    assert.deepEqual(JSON.parse(await ada.ask('what now?')), { try: { action: 'say', text: 'hello' } });
    await ada.close();
    assert.deepEqual(await grace.json(), { left: 'Ada' });
    await grace.close();
  });

  test('lets nobody in who has no name', async () => {
    assert.equal((await refused(app().websocket)).status, 401);
  });

  test('answers what it cannot read as the gateway does', async () => {
    const ada = await connect(`${app().websocket}?name=Ada`);
    const answer = JSON.parse(await ada.ask({ action: 'say', words: 'hello' }));
    assert.equal(answer.message, 'Internal server error');
    await ada.close();
  });
});

each('rust-lawcket', 'lawcket', (app) => {
  test('answers every message', async () => {
    const client = await connect(app().websocket);
    assert.deepEqual(JSON.parse(await client.ask('hello')), { message: 'hello from server' });
    await client.close();
  });
});

each('rust-echo', 'echo', (app) => {
  test('says what it hears', async () => {
    const client = await connect(app().websocket);
    assert.equal(await client.ask('hello'), 'hello');
    await client.close();
  });
}, HOMES.filter(({ home }) => home === 'a function'));

each('rust-nitric-chat', 'nitric-chat', (app) => {
  test('tells all others, and not who said it', async () => {
    const [a, b, c] = [await connect(app().websocket), await connect(app().websocket), await connect(app().websocket)];
    a.send('from a');
    assert.equal(await b.next(), 'from a');
    assert.equal(await c.next(), 'from a');
    // What comes next to the one who said it is of somebody else.
    b.send('from b');
    assert.equal(await a.next(), 'from b');
    await c.close();
    a.send('again');
    assert.equal(await b.next(), 'again');
    await Promise.all([a.close(), b.close()]);
  });
});

each('rust-realtime', 'realtime', (app) => {
  const user = { username: '?x-amz-customauthorizer-name=chat' };

  test('lets in who knows the word, and answers who greets the room', async () => {
    const client = await join(app().mqtt, { ...user, password: 'open sesame', clientId: unique() });
    const room = `chat/${unique('room')}/said`;
    await client.subscribe(room);
    await client.publish(room, JSON.stringify({ text: 'hello' }));
    const said = [await client.next(), await client.next()].map(({ payload }) => JSON.parse(payload).text);
    assert.deepEqual(said.sort(), ['hello', 'welcome']);
    await client.leave();
  });

  test('lets nobody in who does not', async () => {
    await assert.rejects(join(app().mqtt, { ...user, password: 'open barley', clientId: unique() }));
  });
});

for (const { version, isEleven } of VERSIONS) {
  each('rust-trpc', 'trpc', (app) => {
    test(`sends @trpc/client ${version} what is published for the name that it watches`, async () => {
      // v10 has no connection parameters.
      const url = (user) => isEleven ? app().procedures : `${app().procedures}?userId=${user}`;
      const socket = (user) => isEleven ? { connectionParams: { userId: user } } : {};
      const [ada, bob] = ['ada', 'bob'].map((user) => client({ version, isEleven }, url(user), { socket: socket(user) }));
      assert.equal(await ada.api.whoAmI.query(), 'ada');
      const [heard, other] = [new Feed(), new Feed()];
      const watch = (who, name, feed) => within(new Promise((resolve) => {
        const onStarted = () => resolve(subscription);
        const subscription = who.api.mySubscription.subscribe({ name }, { onStarted, onData: (data) => feed.push(data) });
      }), 'the subscription starts');
      const first = await watch(ada, 'name1', heard);
      await watch(ada, 'name10', other);
      assert.equal(await bob.api.greet.mutate({ name: 'name1', text: 'hi' }), 1);
      assert.equal(await heard.take('the greeting'), 'bob: hi');
      assert.equal(await bob.api.greet.mutate({ name: 'name10', text: 'ho' }), 1);
      assert.equal(await other.take('the greeting'), 'bob: ho');
      await assert.rejects(bob.api.nobody.query(), /No "query"-procedure on path "nobody"/);
      await assert.rejects(bob.api.greet.mutate({ name: 'name1' }), ({ data }) => data.code === 'BAD_REQUEST');
      first.unsubscribe();
      await eventually(async () => await bob.api.greet.mutate({ name: 'name1', text: 'hi' }) === 0, 'nobody watches name1');
      ada.close();
      bob.close();
    });
  });
}
