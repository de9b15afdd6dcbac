// DynamoDB for handlers: the tables of serverless.yml, reached by the AWS SDKs
// with nothing configured.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { eventually } from '../harness/patience.mjs';

const TableName = 'dynamodb-dev-orders';

let server;
before(async () => {
  server = await start(app('dynamodb'));
});
after(() => server.stop());

/** Has a function of the app do one operation. */
async function call(sdk, operation, input, at = server) {
  const lambda = new LambdaClient({
    endpoint: `http://${at.host}`, region: 'us-east-1', maxAttempts: 1,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: `dynamodb-dev-${sdk}`, Payload: JSON.stringify({ operation, input }) }),
  );
  const answer = JSON.parse(Buffer.from(Payload).toString());
  assert.equal(FunctionError, undefined, JSON.stringify(answer));
  return answer;
}

/** The output of an operation on the table; its error fails the test. */
async function done(sdk, operation, input, at) {
  const { output, error } = await call(sdk, operation, { TableName, ...input }, at);
  assert.equal(error, undefined, JSON.stringify(error));
  return output;
}

/** The error of an operation on the table. */
async function failed(sdk, operation, input) {
  const { output, error } = await call(sdk, operation, { TableName, ...input });
  assert.equal(output, undefined, JSON.stringify(output));
  return error;
}

for (const [name, sdk] of [['@aws-sdk/lib-dynamodb', 'document'], ['aws-sdk v2', 'v2']]) {
  describe(`${name}, with its stock configuration,`, { concurrency: true }, () => {
    // Each test has a partition of its own.
    const item = (test, sk, attributes) => ({ pk: `${sdk} ${test}`, sk, ...attributes });

    test('puts, gets, updates and deletes, and returns the values that it asks for', async () => {
      const key = item('crud', 'a');
      assert.deepEqual(await done(sdk, 'put', { Item: { ...key, price: 1.5, tags: ['x'] }, ReturnValues: 'ALL_OLD' }), {});
      const before = { ...key, price: 1.5, tags: ['x'] };
      assert.deepEqual(await done(sdk, 'get', { Key: key, ConsistentRead: true }), { Item: before });
      const replaced = await done(sdk, 'put', { Item: { ...key, price: 2 }, ReturnValues: 'ALL_OLD' });
      assert.deepEqual(replaced, { Attributes: before });
      const update = {
        Key: key,
        UpdateExpression: 'SET #price = #price + :more, note = if_not_exists(note, :note) REMOVE tags',
        ExpressionAttributeNames: { '#price': 'price' },
        ExpressionAttributeValues: { ':more': 3, ':note': 'new' },
      };
      assert.deepEqual(await done(sdk, 'update', { ...update, ReturnValues: 'UPDATED_OLD' }), { Attributes: { price: 2 } });
      const now = { ...key, price: 8, note: 'new' };
      assert.deepEqual(await done(sdk, 'update', { ...update, ReturnValues: 'ALL_NEW' }), { Attributes: now });
      assert.deepEqual(await done(sdk, 'delete', { Key: key, ReturnValues: 'ALL_OLD' }), { Attributes: now });
      assert.deepEqual(await done(sdk, 'get', { Key: key }), {});
    });

    test('queries by the beginning of the sort key, in both directions, page by page', async () => {
      const { pk } = item('query');
      for (const sk of ['b#2', 'a#1', 'b#1', 'b#3', 'c']) await done(sdk, 'put', { Item: { pk, sk } });
      const query = {
        KeyConditionExpression: 'pk = :pk and begins_with(sk, :start)',
        ExpressionAttributeValues: { ':pk': pk, ':start': 'b#' },
      };
      const keys = ({ Items }) => Items.map(({ sk }) => sk);
      assert.deepEqual(keys(await done(sdk, 'query', query)), ['b#1', 'b#2', 'b#3']);
      const first = await done(sdk, 'query', { ...query, ScanIndexForward: false, Limit: 2 });
      assert.deepEqual(keys(first), ['b#3', 'b#2']);
      assert.deepEqual(first.LastEvaluatedKey, { pk, sk: 'b#2' });
      const { LastEvaluatedKey: ExclusiveStartKey } = first;
      const rest = await done(sdk, 'query', { ...query, ScanIndexForward: false, ExclusiveStartKey });
      assert.deepEqual(keys(rest), ['b#1']);
    });

    test('queries an index, sorted by a number, with the attributes that the index has', async () => {
      const customer = `${sdk} index`;
      for (const [sk, price] of [['x', 100], ['y', 9], ['z', 20]]) {
        await done(sdk, 'put', { Item: { ...item('index', sk), customer, price, note: `${price}`, other: 'not in the index' } });
      }
      await done(sdk, 'put', { Item: { ...item('index', 'w'), customer } });
      const { Items } = await done(sdk, 'query', {
        IndexName: 'byCustomer',
        KeyConditionExpression: 'customer = :customer and price < :most',
        ExpressionAttributeValues: { ':customer': customer, ':most': 100 },
      });
      assert.deepEqual(Items, [
        { ...item('index', 'y'), customer, price: 9, note: '9' },
        { ...item('index', 'z'), customer, price: 20, note: '20' },
      ]);
    });

    test('writes 25 items in a batch, and no more', async () => {
      const keys = Array.from({ length: 26 }, (_, number) => item('batch', `${number}`));
      const batch = (count) => ({ [TableName]: keys.slice(0, count).map((Item) => ({ PutRequest: { Item } })) });
      const { error } = await call(sdk, 'batchWrite', { RequestItems: batch(26) });
      assert.equal(error.name, 'ValidationException');
      assert.match(error.message, /length less than or equal to 25/);
      const { output } = await call(sdk, 'batchWrite', { RequestItems: batch(25) });
      assert.deepEqual(output.UnprocessedItems, {});
      const read = await call(sdk, 'batchGet', { RequestItems: { [TableName]: { Keys: keys } } });
      assert.equal(read.output.Responses[TableName].length, 25);
    });

    test('does all of a transaction or nothing, and hears which condition failed', async () => {
      const [taken, free] = [item('transaction', 'taken'), item('transaction', 'free')];
      const put = (Item) => ({ Put: { TableName, Item, ConditionExpression: 'attribute_not_exists(pk)' } });
      await done(sdk, 'put', { Item: taken });
      const { error } = await call(sdk, 'transactWrite', { TransactItems: [put(free), put(taken)] });
      assert.equal(error.name, 'TransactionCanceledException');
      assert.match(error.message, /\[None, ConditionalCheckFailed\]/);
      assert.deepEqual(await done(sdk, 'get', { Key: free }), {});
      const { output } = await call(sdk, 'transactWrite', {
        TransactItems: [put(free), { Delete: { TableName, Key: taken, ConditionExpression: 'attribute_exists(pk)' } }],
      });
      assert.ok(output);
      const read = await call(sdk, 'transactGet', { TransactItems: [free, taken].map((Key) => ({ Get: { TableName, Key } })) });
      assert.deepEqual(read.output.Responses, [{ Item: free }, {}]);
    });

    test('hears of a condition that does not hold', async () => {
      const Item = item('condition', 'a');
      await done(sdk, 'put', { Item });
      const error = await failed(sdk, 'put', { Item, ConditionExpression: 'attribute_not_exists(pk)' });
      assert.equal(error.name, 'ConditionalCheckFailedException');
      assert.equal(error.message, 'The conditional request failed');
    });

    test('hears of a table that is not there', async () => {
      const error = await failed(sdk, 'get', { TableName: 'nothing', Key: { pk: 'a', sk: 'a' } });
      assert.equal(error.name, 'ResourceNotFoundException');
    });

    test('keeps sets and bytes', async () => {
      const Item = { ...item('types', 'a'), bytes: { $bytes: 'AP8B' }, list: [1, 'two', { three: null }], no: false };
      await done(sdk, 'put', { Item: sdk === 'v2' ? Item : { ...Item, names: { $set: ['Ada', 'Grace'] } } });
      const read = await done(sdk, 'get', { Key: item('types', 'a') });
      assert.deepEqual(read.Item, sdk === 'v2' ? Item : { ...Item, names: { $set: ['Ada', 'Grace'] } });
    });
  });
}

describe('@aws-sdk/client-dynamodb, with its stock configuration,', { concurrency: true }, () => {
  const key = (test, sk) => ({ pk: { S: `client ${test}` }, sk: { S: sk } });

  test('finds the table that serverless.yml declares', async () => {
    const { Table } = await done('client', 'describeTable', {});
    assert.equal(Table.TableStatus, 'ACTIVE');
    assert.deepEqual(Table.KeySchema, [
      { AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' },
    ]);
    assert.equal(Table.BillingModeSummary.BillingMode, 'PAY_PER_REQUEST');
    const [{ IndexName, Projection }] = Table.GlobalSecondaryIndexes;
    assert.deepEqual([IndexName, Projection.ProjectionType, Projection.NonKeyAttributes], ['byCustomer', 'INCLUDE', ['note']]);
    const { TimeToLiveDescription } = await done('client', 'describeTimeToLive', {});
    assert.deepEqual(TimeToLiveDescription, { AttributeName: 'expireAt', TimeToLiveStatus: 'ENABLED' });
  });

  test('keeps every type as it is', async () => {
    const Item = {
      ...key('types', 'a'),
      bytes: { B: { $bytes: 'AP8B' } },
      number: { N: '12345678901234567890123456789012345678' },
      fraction: { N: '1795247407.881' },
      strings: { SS: ['Ada', 'Grace'] },
      numbers: { NS: ['1', '2.5'] },
      binaries: { BS: [{ $bytes: 'AA==' }, { $bytes: 'AQ==' }] },
      map: { M: { list: { L: [{ NULL: true }, { BOOL: false }, { S: '' }] } } },
    };
    await done('client', 'putItem', { Item });
    const sorted = ({ strings, numbers, ...rest }) => ({ ...rest, strings: strings.SS.sort(), numbers: numbers.NS.sort() });
    const read = await done('client', 'getItem', { Key: key('types', 'a') });
    assert.deepEqual(sorted(read.Item), sorted(Item));
  });

  test('gives its errors their classes', async () => {
    const Item = { ...key('classes', 'a'), note: { S: 'here' } };
    await done('client', 'putItem', { Item });
    const put = { TableName, Item, ConditionExpression: 'attribute_not_exists(pk)', ReturnValuesOnConditionCheckFailure: 'ALL_OLD' };
    const failure = await failed('client', 'putItem', put);
    assert.deepEqual([failure.name, failure.typed], ['ConditionalCheckFailedException', true]);
    assert.deepEqual(failure.item, Item);
    const canceled = await failed('client', 'transactWriteItems', {
      TableName: undefined,
      TransactItems: [{ Delete: { TableName, Key: key('classes', 'b') } }, { Put: put }],
    });
    assert.deepEqual([canceled.name, canceled.typed], ['TransactionCanceledException', true]);
    assert.deepEqual(canceled.reasons.map(({ Code }) => Code), ['None', 'ConditionalCheckFailed']);
    assert.deepEqual(canceled.reasons[1].Item, Item);
    const missing = await failed('client', 'getItem', { TableName: 'nothing', Key: key('classes', 'a') });
    assert.deepEqual([missing.name, missing.typed], ['ResourceNotFoundException', true]);
    const invalid = await failed('client', 'getItem', { Key: { pk: { S: 'no sort key' } } });
    assert.equal(invalid.name, 'ValidationException');
    assert.match(invalid.message, /The provided key element does not match the schema/);
  });

  test('pages through what is larger than 1 MB', async () => {
    const note = { S: 'x'.repeat(300_000) };
    for (const sk of ['1', '2', '3', '4', '5']) await done('client', 'putItem', { Item: { ...key('pages', sk), note } });
    const query = {
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': key('pages').pk },
    };
    const first = await done('client', 'query', query);
    assert.ok(first.Count === 3 || first.Count === 4, `${first.Count} on the first page`);
    assert.deepEqual(first.LastEvaluatedKey, key('pages', `${first.Count}`));
    const rest = await done('client', 'query', { ...query, ExclusiveStartKey: first.LastEvaluatedKey });
    assert.deepEqual([rest.Count, rest.LastEvaluatedKey], [5 - first.Count, undefined]);
  });

  test('refuses an item of more than 400 KB', async () => {
    const error = await failed('client', 'putItem', { Item: { ...key('size', 'a'), note: { S: 'x'.repeat(410_000) } } });
    assert.equal(error.name, 'ValidationException');
    assert.match(error.message, /Item size has exceeded the maximum allowed size/);
  });

  test('begins_with "" finds the whole partition', async () => {
    for (const sk of ['1', '2']) await done('client', 'putItem', { Item: key('empty', sk) });
    const { Count } = await done('client', 'query', {
      KeyConditionExpression: 'pk = :pk and begins_with(sk, :sk)',
      ExpressionAttributeValues: { ':pk': key('empty').pk, ':sk': { S: '' } },
    });
    assert.equal(Count, 2);
  });
});

describe('an item with a time to live', { concurrency: true }, () => {
  const key = (sk) => ({ pk: 'expiry', sk });
  const gone = (sk) => eventually(
    async () => !(await done('document', 'get', { Key: key(sk) })).Item,
    `${sk} is removed`,
  );

  test('goes once that is over, a fraction of a second or not', async () => {
    await done('document', 'put', { Item: { ...key('past'), expireAt: Date.now() / 1000 - 3600.5 } });
    await done('document', 'put', { Item: { ...key('text'), expireAt: 'never' } });
    await gone('past');
    assert.ok((await done('document', 'get', { Key: key('text') })).Item);
  });

  test('goes when the virtual clock is moved past it', async () => {
    await done('document', 'put', { Item: { ...key('future'), expireAt: Date.now() / 1000 + 14_400 } });
    const { status, stderr } = await fanwire(['clock', 'advance', '3h', '--url', `http://${server.host}`]);
    assert.equal(status, 0, stderr);
    assert.ok((await done('document', 'get', { Key: key('future') })).Item);
    await fanwire(['clock', 'advance', '2h', '--url', `http://${server.host}`]);
    await gone('future');
  });
});

describe('tables', { concurrency: true }, () => {
  const Item = { pk: 'kept', sk: 'a', note: 'written before' };
  const write = (at) => done('document', 'put', { Item }, at);
  const read = (at) => done('document', 'get', { Key: { pk: 'kept', sk: 'a' } }, at);

  /** A server of its own for one test. */
  async function own(t, options) {
    const started = await start(app('dynamodb'), options);
    t.after(() => started.kill());
    return started;
  }

  /** The options of a server that has been killed after the item was written. */
  async function killed(t) {
    const options = { args: ['--data', temporaryFolder('tables')] };
    const first = await own(t, options);
    await write(first);
    await first.kill();
    return options;
  }

  test('survive a server that is killed', async (t) => {
    const second = await own(t, await killed(t));
    assert.deepEqual(await read(second), { Item });
  });

  test('are empty with --fresh', async (t) => {
    const { args } = await killed(t);
    const second = await own(t, { args: [...args, '--fresh'] });
    assert.deepEqual(await read(second), {});
  });

  test('are those of the endpoint that the user names instead', async (t) => {
    const other = await own(t);
    const here = await own(t, { args: ['--dynamodb', `http://${other.host}`] });
    await write(here);
    assert.deepEqual(await read(other), { Item });
  });
});
