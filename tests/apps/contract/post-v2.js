'use strict';

const AWS = require('aws-sdk');

// The AWS SDK v2 never reads AWS_ENDPOINT_URL_*: code that runs on it names its
// endpoint, which deployments take from the environment.
const client = new AWS.ApiGatewayManagementApi({
  apiVersion: '2018-11-29',
  endpoint: process.env.AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI,
});

exports.post = async ({ requestContext: { connectionId }, body }) => {
  const { data } = JSON.parse(body);
  await client.postToConnection({ ConnectionId: connectionId, Data: data }).promise();
  return { statusCode: 200 };
};
