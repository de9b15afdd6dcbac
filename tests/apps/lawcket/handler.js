'use strict';

const { builder } = require('@lawcket/publisher');
const lawcket = require('@lawcket/websocket');

const dynamo = require('./dynamo.js');

/** A plugin that turns away whoever asks for it. */
const guard = async ({ queryStringParameters }) => {
  if (queryStringParameters?.refuse) throw new Error('not today');
};

const shout = (event) => {
  if (typeof event.body === 'string') event.body = event.body.toUpperCase();
  return event;
};

/** Answers the sender, or sends to the connection that the message names and answers whether it arrived. */
async function handler({ body, requestContext }, { event, connectionId }, publish) {
  if (event !== 'message') return;
  const { to, text, bytes } = body;
  if (to) await publish({ delivered: await builder({ ...requestContext, connectionId: to })({ text }) });
  else if (bytes) await publish(Buffer.from(bytes));
  else await publish({ you: connectionId, heard: body });
}

exports.default = lawcket({
  handler,
  middleware: [shout],
  plugins: [guard, dynamo({ tableName: process.env.CONNECTIONS_TABLE, additionalSyncFields: { channel: '#general' } })],
});
