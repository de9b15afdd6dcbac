'use strict';

const AWS = require('aws-sdk');

exports.handler = async ({ requestContext: { domainName, stage, connectionId }, body }) => {
  const client = new AWS.ApiGatewayManagementApi({
    apiVersion: '2018-11-29',
    endpoint: `https://${domainName}/${stage}`,
  });
  await client.postToConnection({ ConnectionId: connectionId, Data: JSON.parse(body).data }).promise();
  return { statusCode: 200 };
};
