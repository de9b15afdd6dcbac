import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";
import { Resource } from "sst";

const table = DynamoDBDocument.from(new DynamoDBClient());
const TableName = Resource.Connections.name;

/** Seconds after which a connection is gone, whatever happens. */
const LIFETIME = 2 * 60 * 60;

export type Person = { id: string; room: string; name: string };

export async function add(person: Person): Promise<void> {
  const expires = Math.floor(Date.now() / 1000) + LIFETIME;
  await table.put({ TableName, Item: { ...person, expires } });
}

export async function remove(id: string): Promise<void> {
  await table.delete({ TableName, Key: { id } });
}

export async function find(id: string): Promise<Person | undefined> {
  const { Item } = await table.get({ TableName, Key: { id } });
  return Item as Person | undefined;
}

export async function inRoom(room: string): Promise<Person[]> {
  const { Items = [] } = await table.query({
    TableName,
    IndexName: "byRoom",
    KeyConditionExpression: "room = :room",
    ExpressionAttributeValues: { ":room": room },
  });
  return Items as Person[];
}
