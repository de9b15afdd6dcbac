// examples/trpc-lambda: unmodified tRPC v10 clients, and handlers that make the
// DynamoDB and @connections calls of the library for subscriptions on Lambda.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { DeleteConnectionCommand, ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';
import { WebSocket } from 'ws';

import { example, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Feed, eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

// The client that the example pins.
const { createTRPCProxyClient, createWSClient, wsLink } = createRequire(example('trpc-lambda/demo.js'))('@trpc/client');

const TableName = 'rooms-dev-Subscriptions';
const PATH = 'room.messages';

let server;
before(async () => {
  server = await start(example('trpc-lambda'));
});
after(() => server.stop());

const anyone = { region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' } };

/** Publishes through the function that does it; resolves once everyone has been posted to. */
async function publish(event, at = server) {
  const lambda = new LambdaClient({ endpoint: `http://${at.host}`, ...anyone });
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: 'rooms-dev-publish', Payload: JSON.stringify({ path: PATH, ...event }) }),
  );
  assert.equal(FunctionError, undefined, Buffer.from(Payload ?? []).toString());
}

/** What the table holds of what `wanted` accepts, by partition and sort key. */
async function records(wanted, at = server) {
  const table = DynamoDBDocument.from(new DynamoDBClient({ endpoint: `http://${at.host}`, ...anyone }));
  const { Items } = await table.scan({ TableName, ConsistentRead: true });
  return Items.filter(wanted).sort((a, b) => (a.pk + a.sk < b.pk + b.sk ? -1 : 1));
}

/** A tRPC client and what its subscriptions deliver. */
function subscriber(user, at = server) {
  const socket = createWSClient({ url: at.url(`?user=${user}`), WebSocket, retryDelayMs: () => 50 });
  const client = createTRPCProxyClient({ links: [wsLink({ client: socket })] });
  const feed = new Feed();
  const observer = {
    onStarted: () => feed.push('started'),
    onData: (data) => feed.push({ data }),
    onError: (error) => feed.push({ error: error.message }),
  };
  return {
    client, observer,
    subscribe: (room) => client.room.messages.subscribe({ room }, observer),
    next: () => feed.take(`something for ${user}`),
    get pending() { return feed.items.length; },
    close: () => socket.close(),
  };
}

/** A subscriber of a room, once its subscription has started. */
async function listening(user, room, at) {
  const started = subscriber(user, at);
  started.subscription = started.subscribe(room);
  assert.equal(await started.next(), 'started');
  return started;
}

/** Publishes and says what each of the subscribers got; a last message to everyone marks the end. */
async function heard(subscribers, event) {
  await publish(event);
  await publish({ data: 'end' });
  return Promise.all(subscribers.map(async (each) => {
    const values = [];
    // Without a filter, everyone is found once by each of the path's two filters.
    for (let ends = 0; ends < 2;) {
      const { data } = await each.next();
      if (data === 'end') ends += 1;
      else values.push(data);
    }
    return values;
  }));
}

describe('a @trpc/client of version 10', () => {
  test('subscribes, gets what is published and stops', async () => {
    const ada = await listening('Ada', 'kitchen');
    const filter = { name: 'room', input: { room: 'kitchen' } };
    await publish({ data: { text: 'dinner', courses: 2 }, filter });
    assert.deepEqual(await ada.next(), { data: { text: 'dinner', courses: 2 } });
    ada.subscription.unsubscribe();
    await eventually(async () => (await records(({ path }) => path === PATH)).length === 0, 'no subscription is left');
    await publish({ data: 'too late', filter });
    assert.equal(ada.pending, 0);
    ada.close();
  });

  test('gets what the filter of a publisher chooses', async () => {
    const all = await Promise.all([
      listening('Ada', 'kitchen'), listening('Ada', 'hall'), listening('Grace', 'kitchen'), listening('Grace', 'kitchenette'),
    ]);
    const [kitchen, hall] = [{ room: 'kitchen' }, { room: 'hall' }];
    for (const [what, filter, expected] of [
      ['by the input', { name: 'room', input: hall }, [0, 1, 0, 0]],
      ['by context and input', { name: 'reader', ctx: { user: 'Grace' }, input: kitchen }, [0, 0, 1, 1]],
      ['by the context alone, which comes first in the key', { name: 'reader', ctx: { user: 'Ada' } }, [1, 1, 0, 0]],
      ['by the input alone, where the context comes first', { name: 'reader', input: kitchen }, [0, 0, 0, 0]],
      ['by what the value begins with', { name: 'room', input: kitchen }, [1, 0, 1, 1]],
      ['by what the name begins with', { name: 'r' }, [2, 2, 2, 2]],
      ['by a name that no filter has', { name: 'nothing' }, [0, 0, 0, 0]],
      ['without a filter', undefined, [2, 2, 2, 2]],
    ]) {
      const got = await heard(all, { data: what, filter });
      assert.deepEqual(got, expected.map((count) => Array(count).fill(what)), what);
    }
    all.forEach((each) => each.close());
    await eventually(async () => (await records(() => true)).length === 0, 'nothing is left in the table');
  });

  test('of a path without filters gets everything once', async () => {
    const ada = subscriber('Ada');
    ada.client.notices.subscribe(undefined, ada.observer);
    assert.equal(await ada.next(), 'started');
    const [record] = await records(({ pk }) => pk === 'path#notices');
    assert.match(record.sk, /^connection#[A-Za-z0-9_-]{15}=#subscription#1$/);
    await publish({ path: 'notices', data: null });
    assert.deepEqual(await ada.next(), { data: null });
    ada.close();
  });

  test('subscribes again on a new connection when it loses the old one', async () => {
    const ada = await listening('Ada', 'attic');
    const [{ connectionId }] = await records(({ ctx, pk }) => ctx?.user === 'Ada' && pk === `path#${PATH}`);
    const api = new ApiGatewayManagementApiClient({ endpoint: server.management(), ...anyone });
    await api.send(new DeleteConnectionCommand({ ConnectionId: connectionId }));
    assert.equal(await ada.next(), 'started');
    await publish({ data: 'still there?', filter: { name: 'room', input: { room: 'attic' } } });
    assert.deepEqual(await ada.next(), { data: 'still there?' });
    ada.close();
    await eventually(async () => (await records(() => true)).length === 0, 'nothing is left in the table');
  });
});

describe('on the wire', () => {
  const subscribe = (id, input, path = PATH) => ({ id, method: 'subscription', params: { path, input } });

  test('frames and records are those of the library', async () => {
    const client = await connect(server.url('?user=Ada'));
    // What a client of version 10 sends when it has nothing to say.
    client.send([]);
    assert.equal(await client.ask(subscribe(7, { room: 'cellar' })), '{"id":7,"result":{"type":"started"}}');
    const written = await records(() => true);
    const { connectionId, expireAt } = written[1];
    assert.ok(!Number.isInteger(expireAt) && expireAt > Date.now() / 1000 + 14_000, `expires at ${expireAt}`);
    const connection = `connection#${connectionId}`;
    const own = `${connection}#subscription#7`;
    assert.deepEqual(written.map(({ pk, sk }) => [pk, sk]), [
      [connection, connection],
      [connection, 'subscription#7'],
      ['path#room.messages', `name#reader#ctx#user#Ada#input#room#cellar#${own}`],
      ['path#room.messages', `name#room#input#room#cellar#${own}`],
    ]);
    const { pk, sk, expireAt: _, ...attributes } = written[1];
    assert.deepEqual(attributes, {
      type: 'subscription', connectionId, id: '7', path: PATH, input: { room: 'cellar' }, ctx: { user: 'Ada' },
    });
    await publish({ data: [1], filter: { name: 'room', input: { room: 'cellar' } } });
    assert.equal(await client.next(), '{"id":"7","jsonrpc":"2.0","result":{"type":"data","data":[1]}}');
    assert.equal(await client.ask({ id: 7, method: 'subscription.stop' }), '{"id":7,"result":{"type":"stopped"}}');
    assert.deepEqual((await records(() => true)).map((each) => each.pk), [connection]);
    // Whoever stops what has never started hears the same.
    assert.equal(await client.ask({ id: 8, method: 'subscription.stop' }), '{"id":8,"result":{"type":"stopped"}}');
    await client.close();
  });

  test('a batch is answered message by message', async () => {
    const client = await connect(server.url('?user=Ada'));
    client.send([subscribe(1, { room: 'cellar' }), subscribe(2, { room: 'attic' })]);
    const ids = [(await client.json()).id, (await client.json()).id];
    assert.deepEqual(ids.sort(), [1, 2]);
    await client.close();
  });

  for (const [what, message] of [
    ['an input that the router refuses', subscribe(1, { room: 7 })],
    ['a path that is not there', subscribe(1, {}, 'nowhere')],
    ['what is not JSON', 'PING'],
  ]) {
    test(`${what} is answered with the error frame of API Gateway`, async () => {
      const client = await connect(server.url('?user=Ada'));
      assert.equal(JSON.parse(await client.ask(message)).message, 'Internal server error');
      await client.close();
    });
  }
});

test('a publisher removes connections that are gone without a $disconnect', async (t) => {
  const args = ['--data', temporaryFolder('trpc')];
  const first = await start(example('trpc-lambda'), { args });
  t.after(() => first.kill());
  const ada = await listening('Ada', 'kitchen', first);
  ada.close();
  const lost = await connect(first.url('?user=Grace'));
  await lost.ask({ id: 1, method: 'subscription', params: { path: PATH, input: { room: 'kitchen' } } });
  await first.kill();
  const second = await start(example('trpc-lambda'), { args });
  t.after(() => second.kill());
  assert.ok((await records(({ ctx }) => ctx?.user === 'Grace', second)).length > 0);
  const alive = await listening('Edsger', 'kitchen', second);
  await publish({ data: 'who is there?', filter: { name: 'room', input: { room: 'kitchen' } } }, second);
  assert.deepEqual(await alive.next(), { data: 'who is there?' });
  assert.deepEqual(await records(({ ctx }) => ctx?.user === 'Grace', second), []);
  alive.close();
});

test('the demo of the README prints what it says there', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [example('trpc-lambda/demo.js'), server.url()]);
  assert.equal(stdout, 'Ada in the kitchen sees: dinner is ready\nGrace in the hall sees: the taxi is here\n');
});
