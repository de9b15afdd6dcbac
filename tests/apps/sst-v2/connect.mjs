import { WebSocketApiHandler, useConnectionId } from 'sst/node/websocket-api';

/** A handler of version 2 of SST, which echoes the subprotocol. */
export const handler = WebSocketApiHandler(async () => {
  console.log(`connected: ${useConnectionId()}`);
  return { statusCode: 200 };
});
