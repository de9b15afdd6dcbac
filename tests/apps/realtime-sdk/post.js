'use strict';

const { IoTDataPlaneClient, PublishCommand } = require('@aws-sdk/client-iot-data-plane');

// Neither an endpoint nor credentials: what Fanwire gives a function is enough.
const client = new IoTDataPlaneClient({});

/** Publishes what it is given. */
exports.handler = async ({ topic, payload }) => {
  await client.send(new PublishCommand({ topic, qos: 1, payload: Buffer.from(payload) }));
  return 'published';
};
