import { Resource } from "sst";
import { realtime } from "sst/aws/realtime";

/** Lets whoever has the token talk. */
export const handler = realtime.authorizer(async (token) => {
  const channels = `${Resource.App.name}/${Resource.App.stage}/*`;
  return {
    // Left out, it is the MQTT user name. The device SDK's is a query, which AWS does not take for a principal.
    principalId: "talker",
    publish: token === "PLACEHOLDER_TOKEN" ? [channels] : [],
    subscribe: token === "PLACEHOLDER_TOKEN" ? [channels] : [],
  };
});
