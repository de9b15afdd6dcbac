// Who is in the chat: a row for each connection.

import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient, paginateScan, PutCommand } from '@aws-sdk/lib-dynamodb';

const TableName = process.env.PEOPLE;
const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));

/** API Gateway keeps no connection for longer than two hours, so a row of three is nobody's. */
const SECONDS = 3 * 60 * 60;

/** Puts somebody on the list, or changes their name. */
export async function enter(id, name) {
  const expireAt = Math.floor(Date.now() / 1000) + SECONDS;
  await client.send(new PutCommand({ TableName, Item: { id, name, expireAt } }));
}

/** Takes somebody off the list, and answers who that was. */
export async function leave(id) {
  const { Attributes } = await client.send(
    new DeleteCommand({ TableName, Key: { id }, ReturnValues: 'ALL_OLD' }),
  );
  return Attributes;
}

/** Everyone on the list. */
export async function everyone() {
  const people = [];
  for await (const { Items } of paginateScan({ client }, { TableName })) people.push(...Items);
  return people;
}
