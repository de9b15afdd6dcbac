import { Resource } from "sst";
import { realtime } from "sst/aws/realtime";

/** Says what the bearer of a token may do. A real one looks the token up. */
export const handler = realtime.authorizer(async (token: string) => {
  const topics = [`${Resource.App.name}/${Resource.App.stage}/chat/*`];
  return token === Resource.ChatToken.value
    ? { publish: topics, subscribe: topics }
    : { publish: [], subscribe: [] };
});
