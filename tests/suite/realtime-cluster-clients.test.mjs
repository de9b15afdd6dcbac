// Clients on whichever of several nodes: the IoT Data Plane with AWS's SDK for JavaScript, and the commands that list
// and reach clients, each asked at a node that the client is not on.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  DeleteConnectionCommand, GetConnectionCommand, IoTDataPlaneClient, ListSubscriptionsCommand, SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';

import { Cluster } from '../harness/cluster.mjs';
import { fanwire, launch } from '../harness/fanwire.mjs';
import { join, unique } from '../harness/mqtt.mjs';
import { eventually, within } from '../harness/patience.mjs';

const url = (node) => `mqtt://127.0.0.1:${node.port}`;

/** AWS's SDK at a node. */
const sdkAt = (node) => new IoTDataPlaneClient({
  endpoint: `http://${node.host}`,
  region: 'eu-west-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  maxAttempts: 1,
});

/** A session that outlives its connection. */
const lasting = (clientId = unique('client')) => ({ clientId, clean: false, properties: { sessionExpiryInterval: 3600 } });

/** Ends a lasting session. */
const forget = (peer) => peer.leave({ properties: { sessionExpiryInterval: 0 } });

describe('clients of all nodes', () => {
  let cluster;
  let first;
  let second;
  let third;
  let sdk;
  before(async () => {
    cluster = await Cluster.start(3);
    [first, second, third] = cluster.nodes;
    sdk = sdkAt(first);
  });
  after(() => cluster.stop());

  const notFound = { name: 'ResourceNotFoundException' };

  test('are described by any node, with their subscriptions, connected or away', async () => {
    const session = lasting();
    const peer = await join(url(third), session);
    await peer.subscribe('a/#', { qos: 1 });
    for (const node of [first, second, third]) {
      const found = await sdkAt(node).send(new GetConnectionCommand({ clientId: peer.id }));
      assert.deepEqual([found.clientId, found.connected, found.sessionExpiry], [peer.id, true, 3600]);
      const { subscriptions } = await sdkAt(node).send(new ListSubscriptionsCommand({ clientId: peer.id }));
      assert.deepEqual(subscriptions, [{ topicFilter: 'a/#', qos: 1 }]);
    }
    await peer.leave();
    const away = await sdk.send(new GetConnectionCommand({ clientId: peer.id }));
    assert.deepEqual([away.connected, away.disconnectReason], [false, 'CLIENT_INITIATED_DISCONNECT']);
    await forget(await join(url(second), session));
    // Where it was before, what was on its way to it is waited for.
    const isGone = async () => {
      const found = await sdk.send(new GetConnectionCommand({ clientId: peer.id })).catch((error) => error);
      return found.name === notFound.name;
    };
    await eventually(isGone, 'the session is gone from all nodes');
  });

  test('are disconnected from any node, and their wills are published or not', async () => {
    const topic = unique('wills');
    const watcher = await join(url(first));
    await watcher.subscribe(topic, { qos: 1 });
    const will = { topic, payload: 'deleted', qos: 1, retain: false };
    const peer = await join(url(second), { will });
    await sdk.send(new DeleteConnectionCommand({ clientId: peer.id }));
    await peer.end();
    assert.equal(peer.packets.items.at(-1).reasonCode, 0x98);
    assert.equal((await watcher.next()).payload, 'deleted');
    const silenced = await join(url(third), { ...lasting(), will: { ...will, payload: 'prevented' } });
    await sdk.send(new DeleteConnectionCommand({ clientId: silenced.id, preventWillMessage: true, cleanSession: true }));
    await silenced.end();
    await watcher.publish(topic, 'last', { qos: 1 });
    assert.deepEqual(await watcher.until('last'), []);
    await assert.rejects(sdk.send(new GetConnectionCommand({ clientId: silenced.id })), notFound);
    await watcher.leave();
  });

  test('get messages for them alone from any node, acknowledged where that is asked for', async () => {
    const peer = await join(url(second));
    const others = await Promise.all([first, third].map((node) => join(url(node))));
    for (const other of others) await other.subscribe('direct/#');
    const send = (input) => sdk.send(new SendDirectMessageCommand({
      clientId: peer.id, topic: 'direct/message', payload: Buffer.from('for you'), contentType: 'text/plain', ...input,
    }));
    for (const [qos, confirmation] of [[0, false], [1, true]]) {
      assert.equal((await send({ confirmation, timeout: 15 })).message, 'OK');
      const message = await peer.next();
      assert.deepEqual([message.topic, message.payload, message.qos], ['direct/message', 'for you', qos]);
      assert.equal(message.properties.contentType, 'text/plain');
    }
    await others[0].publish('direct/last', 'last', { qos: 1 });
    for (const other of others) assert.deepEqual(await other.until('last'), []);
    // One that does not acknowledge.
    peer.client.handleMessage = () => {};
    await assert.rejects(send({ confirmation: true, timeout: 1 }), ({ $metadata }) => $metadata.httpStatusCode === 504);
    await Promise.all([peer.drop(), ...others.map((other) => other.leave())]);
  });

  test('that no node has are not found, at once', async () => {
    const clientId = unique('nobody');
    const began = performance.now();
    await assert.rejects(sdk.send(new GetConnectionCommand({ clientId })), notFound);
    await assert.rejects(sdk.send(new DeleteConnectionCommand({ clientId })), notFound);
    await assert.rejects(sdk.send(new SendDirectMessageCommand({ clientId, topic: 'a' })), notFound);
    // None of the three has waited for a node that has nothing to say.
    assert.ok(performance.now() - began < 5_000);
  });

  test('are listed, shown and disconnected by the commands, with the node of each', async () => {
    const peers = await Promise.all([first, second, third].map((node) => join(url(node))));
    const moved = lasting();
    await (await join(url(first), moved)).leave();
    const back = await join(url(third), moved);
    const { status, stdout, stderr } = await fanwire(['sessions', '--json', '--data', first.data]);
    assert.deepEqual([status, stderr], [0, '']);
    const nodeOf = (id) => JSON.parse(stdout).filter(({ clientId }) => clientId === id).map(({ node }) => node);
    for (const [n, peer] of peers.entries()) assert.deepEqual(nodeOf(peer.id), [`node-${n + 1}`]);
    assert.deepEqual(nodeOf(back.id), ['node-3']);
    const listed = await fanwire(['sessions', '--data', first.data]);
    assert.match(listed.stdout, /FROM +NODE +SUBSCRIPTIONS/);
    assert.match(listed.stdout, new RegExp(`${peers[1].id}.* node-2 `));
    const shown = await fanwire(['sessions', 'show', peers[1].id, '--data', first.data]);
    assert.match(shown.stdout, /node +node-2/);
    const ended = await fanwire(['sessions', 'disconnect', peers[2].id, '--data', first.data]);
    assert.equal(ended.status, 0, ended.stderr);
    await peers[2].end();
    await Promise.all([peers[0].leave(), peers[1].leave(), forget(back)]);
  });

  test('are heard and reached by the commands that subscribe and publish', async () => {
    const topic = unique('t');
    const listening = launch(['subscribe', `${topic}/#`, '--json', '--data', first.data]);
    await eventually(() => listening.stderr.includes('subscribed to'), 'it has subscribed');
    const peer = await join(url(second));
    await peer.subscribe(`${topic}/b`, { qos: 1 });
    const published = await fanwire(['publish', `${topic}/b`, 'by command', '--qos', '1', '--data', third.data]);
    assert.equal(published.status, 0, published.stderr);
    assert.equal((await peer.next()).payload, 'by command');
    assert.equal(JSON.parse(await listening.lines.take('what was published')).text, 'by command');
    listening.child.kill('SIGINT');
    await peer.leave();
  });

  test('of a node that has died are told of once another has their sessions, and not denied before', async () => {
    const doomed = await cluster.add('doomed');
    const session = lasting();
    const peer = await join(url(doomed), session);
    assert.equal((await sdk.send(new GetConnectionCommand({ clientId: peer.id }))).connected, true);
    await doomed.kill();
    const statuses = new Set();
    await eventually(async () => {
      const answer = await fetch(`http://${first.host}/connections/${peer.id}`);
      statuses.add(answer.status);
      return answer.status === 200 && (await answer.json()).connected === false;
    }, 'another node has its session', 40_000);
    statuses.delete(200);
    assert.deepEqual([...statuses], [503]);
    await forget(await join(url(second), session));
  });
});

describe('a node that does not answer', () => {
  let cluster;
  let first;
  let silent;
  before(async () => {
    // Nobody takes it for dead while these tests run.
    cluster = await Cluster.start(2, { lease: '60s' });
    [first, silent] = cluster.nodes;
  });
  after(() => cluster.stop());

  test('is named as missing where sessions are listed; its clients are not said to be nowhere', async () => {
    const here = await join(url(first));
    const there = await join(url(silent));
    process.kill(silent.pid, 'SIGSTOP');
    const sdk = sdkAt(first);
    const [listed, { connected }] = await Promise.all([
      fanwire(['sessions', '--data', first.data]),
      within(sdk.send(new GetConnectionCommand({ clientId: here.id })), 'a client of the node itself is found'),
      assert.rejects(sdk.send(new GetConnectionCommand({ clientId: there.id })), ({ name, message, $metadata }) => {
        assert.deepEqual([name, $metadata.httpStatusCode], ['ServiceUnavailableException', 503]);
        assert.match(message, /node-2/);
        return true;
      }),
    ]);
    assert.equal(connected, true);
    assert.equal(listed.status, 0, listed.stderr);
    assert.match(listed.stdout, new RegExp(`${here.id}.* node-1 `));
    assert.match(listed.stderr, /^the sessions of node-2 are missing: it does not answer$/m);
    process.kill(silent.pid, 'SIGCONT');
    await eventually(async () => (await sdk.send(new GetConnectionCommand({ clientId: there.id }))).connected, 'it answers again');
    await Promise.all([here.leave(), there.leave()]);
  });
});
