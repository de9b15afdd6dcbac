'use strict';

// Every API that a handler may call, by clients with nothing configured.

const { ApiGatewayManagementApiClient, PostToConnectionCommand } = require('@aws-sdk/client-apigatewaymanagementapi');
const { DynamoDBClient, PutItemCommand } = require('@aws-sdk/client-dynamodb');
const { IoTDataPlaneClient, PublishCommand } = require('@aws-sdk/client-iot-data-plane');
const { InvokeCommand, LambdaClient } = require('@aws-sdk/client-lambda');

exports.handler = async ({ requestContext: { connectionId } }) => {
  if (connectionId === undefined) return {};
  await new DynamoDBClient({}).send(new PutItemCommand({ TableName: 'access-dev-notes', Item: { id: { S: connectionId } } }));
  await new IoTDataPlaneClient({}).send(new PublishCommand({ topic: 'notes', payload: connectionId }));
  const { Payload } = await new LambdaClient({}).send(new InvokeCommand({ FunctionName: 'access-dev-greet' }));
  const post = { ConnectionId: connectionId, Data: Payload };
  await new ApiGatewayManagementApiClient({}).send(new PostToConnectionCommand(post));
  return { statusCode: 200 };
};

exports.greet = async () => ({ greeting: 'hello' });
