// Several nodes that serve one app together: clients on one, backends on another, and what
// becomes of both when a node or NATS is gone.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

import { Cluster } from '../harness/cluster.mjs';
import { fanwire } from '../harness/fanwire.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** How long what waits for leases may take, in milliseconds. */
const LEASES_MS = 40_000;

/** The AWS SDK, talking to one node. */
const backend = (node) => new ApiGatewayManagementApiClient({
  endpoint: node.management(),
  region: 'us-east-1',
  credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  maxAttempts: 1,
});

const post = (node, id, text) => backend(node).send(new PostToConnectionCommand({ ConnectionId: id, Data: text }));

async function identified(node) {
  const client = await connect(node.url());
  return { client, id: await client.ask('who am I?') };
}

/** Many connections to one node, some at a time. */
async function crowd(node, count) {
  const all = [];
  while (all.length < count) all.push(...await Promise.all(Array.from({ length: 10 }, () => identified(node))));
  return all;
}

const sorted = (list) => [...list].sort();

describe('nodes that serve together', () => {
  let cluster;
  let first;
  let second;
  let third;
  before(async () => {
    cluster = await Cluster.start(3);
    [first, second, third] = cluster.nodes;
  });
  after(() => cluster.stop());

  test('reach a connection from whichever node a backend asks', async () => {
    const { client, id } = await identified(first);
    await post(second, id, 'from the second');
    assert.equal(await client.next(), 'from the second');
    await post(third, id, 'from the third');
    assert.equal(await client.next(), 'from the third');
    const here = await backend(first).send(new GetConnectionCommand({ ConnectionId: id }));
    const there = await backend(second).send(new GetConnectionCommand({ ConnectionId: id }));
    assert.deepEqual(there.Identity, here.Identity);
    assert.deepEqual(there.ConnectedAt, here.ConnectedAt);
    await backend(third).send(new DeleteConnectionCommand({ ConnectionId: id }));
    assert.equal((await client.end()).code, 1000);
    await eventually(() => cluster.ended().includes(id), 'its end is told');
    await assert.rejects(post(second, id, 'too late'), GoneException);
  });

  test('say at once that a connection is gone that no node has', async () => {
    const started = Date.now();
    await assert.rejects(post(first, 'AAAAAAAAAAAAAAA=', 'x'), GoneException);
    await assert.rejects(post(first, 'R1kmxc2VNjMCFIA=', 'x'), GoneException);
    assert.ok(Date.now() - started < 2_000, 'nobody was waited for');
  });

  test('refuse a message for another node as they do one for their own', async () => {
    const { client, id } = await identified(first);
    const large = 'x'.repeat(33 * 1024 * 1024);
    await assert.rejects(post(second, id, large), ({ $metadata }) => $metadata.httpStatusCode === 413);
    await client.close();
  });

  test('bring a broadcast to the connections of all, and add up their number', async () => {
    const all = await Promise.all([first, second, third, third].map(identified));
    const reach = async (query, text) => {
      const answer = await fetch(`${second.management()}/@connections${query}`, { method: 'POST', body: text });
      assert.equal(answer.status, 200);
      return answer.json();
    };
    assert.equal((await reach('', 'to all')).sent, 4);
    for (const { client } of all) assert.equal(await client.next(), 'to all');
    const tag = (id) => fetch(`${first.management()}/@connections/${encodeURIComponent(id)}/tags/room`, { method: 'PUT' });
    for (const { id } of all.slice(1)) assert.equal((await tag(id)).status, 204);
    const named = all.map(({ id }) => `id=${encodeURIComponent(id)}`).slice(0, 2).join('&');
    const outcome = await reach(`?tag=room&${named}&id=R1kmxc2VNjMCFIA%3D`, 'to a room');
    assert.equal(outcome.sent, 4, 'each once, named or tagged or both');
    assert.deepEqual(outcome.gone, ['R1kmxc2VNjMCFIA=']);
    for (const { client } of all) {
      assert.equal(await client.next(), 'to a room');
      assert.equal(client.pending, 0);
    }
    await Promise.all(all.map(({ client }) => client.close()));
  });

  test('list the connections of all', async () => {
    const all = await Promise.all([first, second, third].map(identified));
    const { stdout, stderr } = await fanwire(['connections', '--json', '--data', second.data]);
    for (const { id } of all) assert.ok(stdout.includes(id), `${id} is in ${stdout}${stderr}`);
    await Promise.all(all.map(({ client }) => client.close()));
  });

  test('tell each end once where a node stops in good order', async () => {
    const node = await cluster.add('leaving');
    const all = await crowd(node, 20);
    await node.stop();
    const ids = new Set(all.map(({ id }) => id));
    await eventually(() => cluster.ended().filter((id) => ids.has(id)).length >= 20, 'their ends are told');
    assert.deepEqual(sorted(cluster.ended().filter((id) => ids.has(id))), sorted(ids));
  });
});

describe('a node that is killed', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.start(3);
  });
  after(() => cluster.stop());

  test('has the end of each of its connections told once, by another', async () => {
    const [dying, ...survivors] = cluster.nodes;
    const all = await crowd(dying, 100);
    const kept = await Promise.all(survivors.map(identified));
    await dying.kill();
    const ids = all.map(({ id }) => id);
    await eventually(() => cluster.ended().length >= ids.length, 'all ends are told', LEASES_MS);
    // Its number is free again once everything is done: a node more has seen all of it.
    await cluster.add('late');
    assert.deepEqual(sorted(cluster.ended()), sorted(ids));
    await assert.rejects(post(survivors[0], ids[0], 'too late'), GoneException);
    for (const { client, id } of kept) {
      await post(survivors[0], id, 'still there');
      assert.equal(await client.next(), 'still there');
    }
  });

  test('has the end of a connection reported by who tells it', async () => {
    const [, node] = cluster.nodes;
    const { id } = await identified(node);
    await node.kill();
    const told = cluster.nodes.slice(2).map((survivor) => survivor.events.find(
      (event) => event.type === 'request' && event.eventType === 'DISCONNECT' && event.connectionId === id,
      'a survivor tells',
      LEASES_MS,
    ));
    const { status } = await Promise.any(told);
    assert.equal(status, 200);
    told.forEach((each) => each.catch(() => {}));
  });
});

describe('a node that hangs', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.start(2);
  });
  after(() => cluster.stop());

  test('is taken for dead, and closes what it had when it goes on', async () => {
    const [hanging, other] = cluster.nodes;
    const all = await crowd(hanging, 20);
    const ids = all.map(({ id }) => id);
    process.kill(hanging.pid, 'SIGSTOP');
    await eventually(() => cluster.ended().length >= ids.length, 'all ends are told', LEASES_MS);
    await assert.rejects(post(other, ids[0], 'x'), GoneException);
    process.kill(hanging.pid, 'SIGCONT');
    for (const { client } of all) assert.equal((await client.end()).code, 1001);
    // It is a node again, with connections of its own.
    const again = await eventually(async () => {
      const client = await connect(hanging.url());
      const id = await client.ask('who am I?');
      await post(other, id, 'welcome back');
      assert.equal(await client.next(), 'welcome back');
      return { client, id };
    }, 'it has joined again', LEASES_MS);
    await again.client.close();
    await eventually(() => cluster.ended().includes(again.id), 'the end of a new one is told');
    assert.deepEqual(sorted(cluster.ended().filter((id) => ids.includes(id))), sorted(ids));
  });
});

describe('while NATS is away', () => {
  let cluster;
  before(async () => {
    cluster = await Cluster.start(2);
  });
  after(() => cluster.stop());

  test('each node goes on for its own, says what it cannot reach, and heals', async () => {
    const [first, second] = cluster.nodes;
    const before = await identified(first);
    await cluster.nats.kill();
    await eventually(
      () => post(second, before.id, 'x').then(() => false, ({ $metadata }) => $metadata.httpStatusCode === 503),
      'the other node says that it cannot reach it',
    );
    await post(first, before.id, 'from here');
    assert.equal(await before.client.next(), 'from here');
    const meanwhile = await identified(first);
    const gone = await identified(first);
    await gone.client.close();
    await cluster.nats.run();
    await eventually(() => post(second, before.id, 'healed').then(() => true), 'nodes reach each other again', LEASES_MS);
    assert.equal(await before.client.next(), 'healed');
    await eventually(() => cluster.ended().includes(gone.id), 'what ended meanwhile is told');
    // What came meanwhile is recorded by now: it outlives its node.
    await eventually(async () => {
      const { client, id } = await identified(first);
      await client.close();
      return eventually(() => cluster.ended().includes(id), 'ends are told');
    }, 'records are written');
    await first.kill();
    await eventually(() => cluster.ended().includes(meanwhile.id), 'the end of what came meanwhile is told', LEASES_MS);
    await eventually(() => cluster.ended().includes(before.id), 'and of what was there before', LEASES_MS);
    // An end that is told within milliseconds of its node's own may be told again: not those of the loop.
    const ids = [before.id, meanwhile.id, gone.id];
    assert.deepEqual(sorted(cluster.ended().filter((id) => ids.includes(id))), sorted(ids), 'each once');
  });
});
