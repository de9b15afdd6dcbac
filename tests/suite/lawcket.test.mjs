// Handlers of lawcket, as published: it posts to `https://domainName` with no
// port, answers a status that is text, and syncs connections through aws-sdk v2.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';

import { app, start } from '../harness/fanwire.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect, refused } from '../harness/websocket.mjs';

const TableName = 'lawcket-dev-connections';

let server;
let table;
before(async () => {
  server = await start(app('lawcket'));
  table = DynamoDBDocument.from(new DynamoDBClient({
    endpoint: `http://${server.host}`, region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  }));
});
after(async () => {
  table?.destroy();
  await server?.stop();
});

/** A connection, and its id. */
async function identified() {
  const client = await connect(server.url());
  const { you, heard } = JSON.parse(await client.ask('hello'));
  assert.equal(heard, 'HELLO');
  return { client, id: you };
}

const row = async (connectionId) => (await table.get({ TableName, Key: { connectionId } })).Item;

describe('a handler of lawcket', { concurrency: true }, () => {
  test('has its plugin keep a row for as long as the connection lasts', async () => {
    const { client, id } = await identified();
    const { domainName, ...rest } = await row(id);
    assert.deepEqual(rest, { connectionId: id, stage: 'dev', channel: '#general' });
    assert.ok(domainName);
    await client.close();
    await eventually(async () => !(await row(id)), 'the row is deleted');
  });

  test('publishes text, objects and bytes back to the sender', async () => {
    const { client, id } = await identified();
    assert.deepEqual(JSON.parse(await client.ask({ text: 'an object' })), { you: id, heard: { text: 'an object' } });
    assert.equal(await client.ask({ bytes: 'not as JSON' }), 'not as JSON');
    await client.close();
  });

  test('publishes to another connection, and hears whether it is there', async () => {
    const [ada, grace] = await Promise.all([identified(), identified()]);
    assert.deepEqual(JSON.parse(await ada.client.ask({ to: grace.id, text: 'hello' })), { delivered: true });
    assert.deepEqual(await grace.client.json(), { text: 'hello' });
    await grace.client.close();
    assert.deepEqual(JSON.parse(await ada.client.ask({ to: grace.id, text: 'hello?' })), { delivered: false });
    await ada.client.close();
  });

  test('refuses a connection that a plugin rejects', async () => {
    assert.equal((await refused(server.url('?refuse=yes'))).status, 502);
  });
});
