import { disconnected } from './store.js';

export async function handler({ requestContext: { connectionId } }) {
  await disconnected(connectionId);
  return { statusCode: 200 };
}
