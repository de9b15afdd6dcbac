// Talks on the radio: `node talk.js NAME` says what is typed, and prints what others say.

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';

import { iot, mqtt } from 'aws-iot-device-sdk-v2';

const [name = 'Somebody'] = process.argv.slice(2);
const { ENDPOINT = 'localhost:3001' } = process.env;
const [host, port] = ENDPOINT.split(':');
const channel = 'radio/dev/channel-1';

const config = iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets()
  .with_clean_session(true)
  .with_client_id(`talker_${randomUUID()}`)
  .with_endpoint(host)
  .with_custom_authorizer('', 'radio', '', 'PLACEHOLDER_TOKEN')
  .with_keep_alive_seconds(1200)
  // These two are not needed on AWS: `fanwire dev` has a port and an authority of its own.
  .with_port(Number(port))
  .with_certificate_authority_from_path(undefined, 'ca.pem')
  .build();
const connection = new mqtt.MqttClient().new_connection(config);

connection.on('error', (error) => console.error(error.message));
await connection.connect();
await connection.subscribe(channel, mqtt.QoS.AtLeastOnce, (_topic, payload) => {
  const { from, text } = JSON.parse(Buffer.from(payload).toString());
  if (from !== name) console.log(`${from}: ${text}`);
});
console.log(`${name} is on ${channel}`);

for await (const text of createInterface({ input: process.stdin })) {
  await connection.publish(channel, { from: name, text }, mqtt.QoS.AtLeastOnce);
}
await connection.disconnect();
