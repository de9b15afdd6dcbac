'use strict';

// aws-sdk v2: only the gateway has an endpoint, as it has in every sample.

const AWS = require('aws-sdk');

const { endpoints } = require('./post.js');

const documents = new AWS.DynamoDB.DocumentClient();
const lambda = new AWS.Lambda();

exports.handler = async ({ requestContext, body }) => {
  const { connectionId } = requestContext;
  const { as } = JSON.parse(body);
  await documents.put({ TableName: process.env.TABLE, Item: { id: connectionId, as } }).promise();
  const { Item } = await documents.get({ TableName: process.env.TABLE, Key: { id: connectionId } }).promise();
  const { Payload } = await lambda.invoke({ FunctionName: 'endpoints-dev-greet', Payload: JSON.stringify(Item) }).promise();
  const api = new AWS.ApiGatewayManagementApi({ apiVersion: '2018-11-29', endpoint: endpoints(requestContext)[as] });
  await api.postToConnection({ ConnectionId: connectionId, Data: Payload }).promise();
  return { statusCode: 200 };
};
