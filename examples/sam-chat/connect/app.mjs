import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';

const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

/** Keeps the connection, with the name that its client gives. */
export async function handler({ requestContext, queryStringParameters }) {
  const { connectionId } = requestContext;
  const name = queryStringParameters?.name ?? 'somebody';
  await table.send(new PutCommand({ TableName: process.env.TABLE_NAME, Item: { connectionId, name } }));
  return { statusCode: 200 };
}
