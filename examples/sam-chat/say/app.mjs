import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb';

const TableName = process.env.TABLE_NAME;
const table = DynamoDBDocumentClient.from(new DynamoDBClient({}));

/** Sends what one says to everyone, and forgets those who are gone. */
export async function handler({ requestContext: { apiId, connectionId, stage }, body }) {
  // The address of the API on AWS, as many handlers have it. Fanwire answers there, too.
  const endpoint = `https://${apiId}.execute-api.${process.env.AWS_REGION}.amazonaws.com/${stage}`;
  const api = new ApiGatewayManagementApiClient({ endpoint });
  const { Items: people } = await table.send(new ScanCommand({ TableName }));
  const from = people.find((person) => person.connectionId === connectionId)?.name;
  const Data = JSON.stringify({ from, text: JSON.parse(body).text });
  await Promise.all(people.map(async (person) => {
    const ConnectionId = person.connectionId;
    try {
      await api.send(new PostToConnectionCommand({ ConnectionId, Data }));
    } catch (error) {
      if (error.name !== 'GoneException') throw error;
      await table.send(new DeleteCommand({ TableName, Key: { connectionId: ConnectionId } }));
    }
  }));
  return { statusCode: 200 };
}
