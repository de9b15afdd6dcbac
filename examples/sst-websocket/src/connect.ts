import { add } from "./people";

type Context = { connectionId: string; authorizer: { room: string; name: string } };

export async function handler({ requestContext }: { requestContext: Context }) {
  const { connectionId: id, authorizer: { room, name } } = requestContext;
  await add({ id, room, name });
  return { statusCode: 200 };
}
