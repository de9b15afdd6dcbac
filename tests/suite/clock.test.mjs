// Time that is moved ahead: what AWS does after minutes and hours happens now.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

const advance = async (server, by) => {
  const { status, stdout, stderr } = await fanwire(['clock', 'advance', by, '--data', server.data]);
  assert.equal(status, 0, stderr);
  return stdout;
};

describe('fanwire clock advance', () => {
  test('closes connections that were idle for ten minutes', async () => {
    const server = await start(app('contract'));
    const client = await connect(server.url());
    await client.ask('awake');
    assert.equal(await advance(server, '9m'), 'the clock is 9m ahead of this machine\'s\n');
    assert.ok(await client.ask('still here'));
    assert.equal(await advance(server, '11m'), 'the clock is 20m ahead of this machine\'s\n');
    assert.equal((await client.closed).code, 1001);
    await server.stop();
  });

  test('closes connections after two hours, however busy, and dates events by it', async () => {
    const server = await start(app('contract'));
    const client = await connect(server.url());
    const before = Date.now();
    for (let minutes = 0; minutes < 120; minutes += 9) {
      await client.ask('busy');
      await advance(server, '9m');
    }
    assert.equal((await client.closed).code, 1001);
    const later = await connect(server.url());
    const { requestContext } = JSON.parse(await later.ask({ action: 'event' }));
    assert.ok(requestContext.requestTimeEpoch >= before + 120 * 60_000, `${requestContext.requestTimeEpoch}`);
    await server.stop();
  });

  test('ends items whose time to live has come', async () => {
    const server = await start(app('expiry'));
    const table = DynamoDBDocument.from(new DynamoDBClient({
      endpoint: `http://${server.host}`, region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    }));
    const now = Date.now() / 1000;
    await table.put({ TableName: 'items', Item: { id: 'soon', expireAt: now + 3600.5 } });
    await table.put({ TableName: 'items', Item: { id: 'later', expireAt: now + 86_400 } });
    const ids = async () => (await table.scan({ TableName: 'items' })).Items.map(({ id }) => id).sort();
    assert.deepEqual(await ids(), ['later', 'soon']);
    await advance(server, '2h');
    await eventually(async () => (await ids()).length === 1, 'an item expires');
    assert.deepEqual(await ids(), ['later']);
    table.destroy();
    await server.stop();
  });

  test('takes no time that it does not understand, and says where no server answers', async () => {
    const { status, stderr } = await fanwire(['clock', 'advance', 'soon', '--url', 'http://127.0.0.1:9']);
    assert.equal(status, 2);
    assert.match(stderr, /soon/);
    assert.equal((await fanwire(['clock', 'advance', '1m', '--url', 'http://127.0.0.1:9'])).status, 3);
  });
});
