import { Resource } from "sst";
import { realtime } from "sst/aws/realtime";

/** Says what the bearer of a token may do. A real one looks the token up. */
export const handler = realtime.authorizer(async (token) => {
  const prefix = `${Resource.App.name}/${Resource.App.stage}`;
  return token === "PLACEHOLDER_TOKEN"
    ? { publish: [`${prefix}/*`], subscribe: [`${prefix}/*`] }
    : { publish: [], subscribe: [] };
});
