import { connected } from './store.js';

export async function handler({ requestContext: { connectionId } }) {
  await connected(connectionId);
  return { statusCode: 200 };
}
