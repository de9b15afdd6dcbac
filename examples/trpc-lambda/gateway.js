// Messages to clients.

import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';

/** A function that posts a message to a connection of the API at `endpoint`. */
export function gateway(endpoint) {
  const api = new ApiGatewayManagementApiClient({ endpoint });
  return (ConnectionId, message) =>
    api.send(new PostToConnectionCommand({ ConnectionId, Data: JSON.stringify(message) }));
}
