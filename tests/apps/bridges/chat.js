'use strict';

const { IoTDataPlaneClient, PublishCommand } = require('@aws-sdk/client-iot-data-plane');

// Neither an endpoint nor credentials: what Fanwire gives a function is enough.
const client = new IoTDataPlaneClient({});

/** Puts a connection where its URL says. */
exports.connect = async ({ queryStringParameters }) => {
  const { tags, topics } = queryStringParameters ?? {};
  return { statusCode: 200, headers: { ...(tags && { 'Fanwire-Tags': tags }), ...(topics && { 'fanwire-topics': topics }), 'X-Kept': 'yes' } };
};

/** Publishes what it is sent, and says which connection that was. */
exports.message = async ({ body, requestContext: { connectionId } }) => {
  const { topic, payload } = JSON.parse(body);
  if (topic) await client.send(new PublishCommand({ topic, qos: 1, payload: Buffer.from(payload) }));
  return { statusCode: 200, body: connectionId };
};
