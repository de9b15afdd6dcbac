'use strict';

const {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  GoneException,
  PostToConnectionCommand,
} = require('@aws-sdk/client-apigatewaymanagementapi');

// No endpoint is named: AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI says where the API is.
const client = new ApiGatewayManagementApiClient({});

/** Sends the message's `data` to the connection `to`, or back to the sender. */
exports.post = async ({ requestContext, body }) => {
  const { to = requestContext.connectionId, data } = JSON.parse(body);
  await client.send(new PostToConnectionCommand({ ConnectionId: to, Data: data }));
  return { statusCode: 200, body: 'dropped: the route is one-way' };
};

/** Posts to the connection that is being made, and prints how that ends. */
exports.toSelf = async ({ requestContext: { connectionId } }) => {
  const outcomes = {};
  for (const [name, command] of [
    ['post', new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'too early' })],
    ['get', new GetConnectionCommand({ ConnectionId: connectionId })],
    ['delete', new DeleteConnectionCommand({ ConnectionId: connectionId })],
  ]) {
    try {
      await client.send(command);
      outcomes[name] = 'done';
    } catch (error) {
      outcomes[name] = error instanceof GoneException ? 'gone' : `${error}`;
    }
  }
  console.log(`SELF ${JSON.stringify({ connectionId, ...outcomes })}`);
};
