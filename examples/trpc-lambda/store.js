// Connections and their subscriptions in one table.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';

import { connectionKey, pathKeys, start, subscriptionKey } from './keys.js';
import { filters } from './router.js';

const TableName = process.env.TABLE;
const client = DynamoDBDocumentClient.from(new DynamoDBClient({}), {
  // A subscription may have no input and no context.
  marshallOptions: { removeUndefinedValues: true },
});

/** No connection lasts longer than two hours; what is left over for some reason goes after four. */
const expireAt = () => Date.now() / 1000 + 14_400;

const put = (Item) => client.send(new PutCommand({ TableName, Item }));
const remove = ({ pk, sk }) => client.send(new DeleteCommand({ TableName, Key: { pk, sk } }));

async function query(KeyConditionExpression, ExpressionAttributeValues) {
  const { Items } = await client.send(
    new QueryCommand({ TableName, KeyConditionExpression, ExpressionAttributeValues }),
  );
  return Items;
}

export const connected = (connectionId) =>
  put({ ...connectionKey(connectionId), type: 'connection', expireAt: expireAt() });

/** Removes a connection and everything it has subscribed to. */
export async function disconnected(connectionId) {
  const items = await query('pk = :pk', { ':pk': connectionKey(connectionId).pk });
  await Promise.all(items.map(forget));
}

/** Records a subscription: `{connectionId, id, path, input, ctx}`. */
export async function subscribed(subscription) {
  const record = { type: 'subscription', ...subscription, id: `${subscription.id}`, expireAt: expireAt() };
  await put({ ...subscriptionKey(record), ...record });
  await Promise.all(pathKeys(record, filters[record.path]).map((key) => put({ ...key, ...record })));
}

/** Removes a subscription, where there is one. */
export async function stopped(subscription) {
  const { pk, sk } = subscriptionKey(subscription);
  const items = await query('pk = :pk and sk = :sk', { ':pk': pk, ':sk': sk });
  await Promise.all(items.map(forget));
}

/** The subscriptions to `path` that `filter` chooses: `{name, ctx, input}`, or everything. */
export const subscribers = (path, filter) =>
  query('pk = :pk and begins_with(sk, :sk)', { ':pk': `path#${path}`, ':sk': filter ? start(filter) : '' });

async function forget(item) {
  await remove(item);
  if (item.type !== 'subscription') return;
  await Promise.all(pathKeys(item, filters[item.path]).map(remove));
}
