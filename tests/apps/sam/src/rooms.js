import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';

const TableName = process.env.TABLE;
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

export async function enter({ requestContext: { connectionId: connection, authorizer } }) {
  const Item = { connection, name: authorizer.principalId, room: authorizer.room };
  await table.send(new PutCommand({ TableName, Item }));
  return { statusCode: 200 };
}

export async function leave({ requestContext: { connectionId: connection } }) {
  await table.send(new DeleteCommand({ TableName, Key: { connection } }));
  return { statusCode: 200 };
}

/** Tells everyone in the room, and answers what the stage says. */
export async function talk({ requestContext: { authorizer }, stageVariables, body }) {
  const api = new ApiGatewayManagementApiClient({ endpoint: process.env.CALLBACK });
  const { Items } = await table.send(new ScanCommand({ TableName }));
  const Data = `${authorizer.principalId}: ${body}`;
  const room = Items.filter((visitor) => visitor.room === authorizer.room);
  await Promise.all(room.map(({ connection }) => api.send(new PostToConnectionCommand({ ConnectionId: connection, Data }))));
  return { statusCode: 200, body: stageVariables.greeting };
}
