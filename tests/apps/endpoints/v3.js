'use strict';

// The AWS SDK for JavaScript v3: only the gateway has an endpoint, as it has in every sample.

const { ApiGatewayManagementApi } = require('@aws-sdk/client-apigatewaymanagementapi');
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { LambdaClient, InvokeCommand } = require('@aws-sdk/client-lambda');
const { DynamoDBDocument } = require('@aws-sdk/lib-dynamodb');

const { endpoints } = require('./post.js');

const documents = DynamoDBDocument.from(new DynamoDBClient({}));
const lambda = new LambdaClient({});

exports.handler = async ({ requestContext, body }) => {
  const { connectionId } = requestContext;
  const { as } = JSON.parse(body);
  await documents.put({ TableName: process.env.TABLE, Item: { id: connectionId, as } });
  const { Item } = await documents.get({ TableName: process.env.TABLE, Key: { id: connectionId } });
  const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: 'endpoints-dev-greet', Payload: JSON.stringify(Item) }));
  const api = new ApiGatewayManagementApi({ endpoint: endpoints(requestContext)[as] });
  await api.postToConnection({ ConnectionId: connectionId, Data: Payload });
  return { statusCode: 200 };
};
