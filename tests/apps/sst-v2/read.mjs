import { Config } from 'sst/node/config';
import { Table } from 'sst/node/table';
import { WebSocketApi } from 'sst/node/websocket-api';

/** What version 2 of SST's SDK finds. */
export const handler = async () => ({
  statusCode: 200,
  body: JSON.stringify({
    app: Config.APP,
    stage: Config.STAGE,
    region: Config.REGION,
    table: Table.Connections.tableName,
    api: WebSocketApi.Api,
  }),
});
