import { ApiGatewayManagementApi, GoneException } from "@aws-sdk/client-apigatewaymanagementapi";
import { Resource } from "sst";

import { find, inRoom, remove } from "./people";

const management = new ApiGatewayManagementApi({ endpoint: Resource.MyApi.managementEndpoint });

type Event = { body: string; requestContext: { connectionId: string } };

/** Tells everybody in the room what somebody says. */
export async function handler({ body, requestContext }: Event) {
  const speaker = await find(requestContext.connectionId);
  if (!speaker) return { statusCode: 410 };
  const Data = JSON.stringify({ from: speaker.name, text: JSON.parse(body).text });
  for (const { id } of await inRoom(speaker.room)) {
    try {
      await management.postToConnection({ ConnectionId: id, Data });
    } catch (error) {
      if (!(error instanceof GoneException)) throw error;
      await remove(id);
    }
  }
  return { statusCode: 200 };
}
