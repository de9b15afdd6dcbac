// What clients send: tRPC's frames, one or a batch of them.

import { parseTRPCMessage } from '@trpc/server/rpc';

import { gateway } from './gateway.js';
import { observe, transformer } from './router.js';
import { stopped, subscribed } from './store.js';

export async function handler({ requestContext, body }) {
  const { domainName, stage } = requestContext;
  const post = gateway(`https://${domainName}/${stage}`);
  const frames = [JSON.parse(body)].flat();
  await Promise.all(frames.map((frame) => receive(parseTRPCMessage(frame, transformer), requestContext, post)));
  return { statusCode: 200 };
}

/** Subscribes or stops. Queries and mutations are not for this API: they are better sent over HTTP. */
async function receive({ id, method, params }, { connectionId, authorizer }, post) {
  if (method === 'subscription') {
    const subscription = { ...params, connectionId, id, ctx: { user: authorizer.principalId } };
    // Validates the path and the input.
    await observe(subscription);
    await subscribed(subscription);
    await post(connectionId, { id, result: { type: 'started' } });
  } else if (method === 'subscription.stop') {
    await stopped({ connectionId, id });
    await post(connectionId, { id, result: { type: 'stopped' } });
  }
}
