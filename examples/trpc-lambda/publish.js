// Sends a value to those who subscribed to it. Any function or program that may invoke this one can publish:
// {"path": "room.messages", "data": …, "filter": {"name": "room", "input": {"room": "kitchen"}}}

import { GoneException } from '@aws-sdk/client-apigatewaymanagementapi';

import { gateway } from './gateway.js';
import { observe } from './router.js';
import { disconnected, subscribers } from './store.js';

const post = gateway(process.env.ENDPOINT);

export async function handler({ path, data, filter }) {
  for (const subscription of await subscribers(path, filter)) await deliver(subscription, data);
}

/** Runs the subscription's procedure on the value that is published, and posts what comes of it. */
async function deliver({ connectionId, id, path, input, ctx }, published) {
  for (const data of await valuesOf(await observe({ path, input, ctx: { ...ctx, published } }))) {
    try {
      await post(connectionId, { id, jsonrpc: '2.0', result: { type: 'data', data } });
    } catch (error) {
      // The others are to get it all the same.
      if (!(error instanceof GoneException)) return console.error(error);
      console.warn(`${connectionId} has gone`);
      return disconnected(connectionId);
    }
  }
}

/** Everything that an observable emits until it completes. */
const valuesOf = (observable) => new Promise((resolve, reject) => {
  const values = [];
  observable.subscribe({ next: (value) => values.push(value), error: reject, complete: () => resolve(values) });
});
