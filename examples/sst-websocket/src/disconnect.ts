import { remove } from "./people";

export async function handler({ requestContext }: { requestContext: { connectionId: string } }) {
  await remove(requestContext.connectionId);
  return { statusCode: 200 };
}
