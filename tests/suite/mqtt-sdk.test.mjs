// AWS's own device SDK for JavaScript, on Node and in a page: MQTT 3.1.1 and 5, with a custom authorizer, over TLS
// and WebSockets. And mqtt.js in a page.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { iot, mqtt, mqtt5 } from 'aws-iot-device-sdk-v2';

import { ROOT } from '../harness/fanwire.mjs';
import { saying, startIot } from '../harness/iot.mjs';
import { broker, unique } from '../harness/mqtt.mjs';
import { Browser, deviceSdk } from '../harness/page.mjs';
import { Feed, within } from '../harness/patience.mjs';

let server;
let browser;
before(async () => {
  [server, browser] = await Promise.all([process.env.MQTT_BROKER ? broker() : startIot(), Browser.open()]);
});
after(async () => {
  await browser?.close();
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

const policy = () => saying({ principalId: 'device' });

/** The SDK's MQTT 3.1.1, over a WebSocket or over TLS with IoT Core's ALPN. */
async function connection311(websocket) {
  const builder = websocket
    ? iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets()
    : iot.AwsIotMqttConnectionConfigBuilder.new_default_builder();
  const config = builder
    .with_certificate_authority(String(server.ca))
    .with_endpoint('localhost')
    .with_client_id(unique('device'))
    .with_clean_session(true)
    .with_keep_alive_seconds(60)
    .with_custom_authorizer('', 'told', '', String(policy()))
    // After the authorizer, which sets 443.
    .with_port(server.wssPort)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  await within(connection.connect(), 'the SDK connects');
  return connection;
}

describe('aws-iot-device-sdk-v2 on Node', () => {
  test('speaks MQTT 3.1.1 over a WebSocket', async () => {
    const connection = await connection311(true);
    const topic = unique('sdk');
    const heard = new Feed();
    const { qos } = await connection.subscribe(topic, mqtt.QoS.AtLeastOnce, (on, payload) => heard.push([on, Buffer.from(payload).toString()]));
    assert.equal(qos, 1);
    await connection.publish(topic, JSON.stringify({ hello: 'wörld' }), mqtt.QoS.AtLeastOnce);
    assert.deepEqual(await heard.take('the message'), [topic, '{"hello":"wörld"}']);
    await connection.unsubscribe(topic);
    await within(connection.disconnect(), 'the SDK disconnects');
  });

  test('speaks MQTT 3.1.1 over TLS with the ALPN `mqtt`', async (t) => {
    if (server.other) return t.skip('another port there');
    const connection = await connection311(false);
    await connection.publish(unique('sdk'), 'x', mqtt.QoS.AtLeastOnce);
    await within(connection.disconnect(), 'the SDK disconnects');
  });

  for (const [what, build] of [
    ['over a WebSocket', iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithCustomAuth],
    ['over TLS with the ALPN `mqtt`', iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithCustomAuth],
  ]) {
    test(`speaks MQTT 5 ${what}`, async (t) => {
      if (server.other && what.includes('ALPN')) return t.skip('another port there');
      const clientId = unique('device');
      const config = build('localhost', { authorizerName: 'told', username: 'ada', password: policy() })
        .withCertificateAuthority(String(server.ca))
        .withPort(server.wssPort)
        .withConnectProperties({ keepAliveIntervalSeconds: 60, clientId })
        .build();
      const client = new mqtt5.Mqtt5Client(config);
      const heard = new Feed();
      const [connected, stopped] = ['connectionSuccess', 'stopped'].map((event) => new Promise((resolve) => client.on(event, resolve)));
      client.on('connectionFailure', ({ error }) => heard.end(`${error}`));
      client.on('messageReceived', ({ message }) => heard.push(message));
      client.start();
      const { connack } = await within(connected, 'the SDK connects');
      assert.equal(connack.reasonCode, mqtt5.ConnectReasonCode.Success);
      const topic = unique('sdk');
      const suback = await client.subscribe({ subscriptions: [{ topicFilter: topic, qos: mqtt5.QoS.AtLeastOnce }] });
      assert.deepEqual(suback.reasonCodes, [mqtt5.SubackReasonCode.GrantedQoS1]);
      const { reasonCode } = await client.publish({
        topicName: topic, qos: mqtt5.QoS.AtLeastOnce, payload: 'hello', userProperties: [{ name: 'a', value: '1' }],
      });
      assert.equal(reasonCode, 0);
      const message = await heard.take('the message');
      assert.equal(Buffer.from(message.payload).toString(), 'hello');
      assert.deepEqual(message.userProperties, [{ name: 'a', value: '1' }]);
      client.stop();
      await within(stopped, 'the SDK stops');
      client.close();
    });
  }
});

describe('in a page', () => {
  for (const [version, over] of [[4, 'ws'], [5, 'ws'], [5, 'wss']]) {
    test(`mqtt.js speaks MQTT ${version} over ${over}, as SST's example has it`, async () => {
      const tab = await browser.page({ path: path.join(ROOT, 'tests/node_modules/mqtt/dist/mqtt.min.js') });
      const endpoint = (server.other ? server[over] : `${over}://localhost:${server.port}/mqtt`);
      const heard = await within(tab.evaluate(([url, protocolVersion, password, topic]) => new Promise((resolve, reject) => {
        const connection = globalThis.mqtt.connect(url, {
          protocolVersion, manualConnect: true, username: '', password, clientId: `client_${crypto.randomUUID()}`,
        });
        connection.on('connect', async () => {
          await connection.subscribeAsync(topic, { qos: 1 });
          connection.publish(topic, 'héllo', { qos: 1 });
        });
        connection.on('message', (on, payload) => {
          const text = new TextDecoder('utf8').decode(new Uint8Array(payload));
          connection.end(false, () => resolve([on, text]));
        });
        connection.on('error', reject);
        connection.connect();
      }), [`${endpoint}?x-amz-customauthorizer-name=told`, version, String(policy()), 'page/mqttjs']), 'the page hears itself');
      assert.deepEqual(heard, ['page/mqttjs', 'héllo']);
      await tab.close();
    });
  }

  test('aws-iot-device-sdk-v2 speaks MQTT 3.1.1 and 5 over wss', async () => {
    const tab = await browser.page(await deviceSdk());
    const heard = await within(tab.evaluate(async ([port, password]) => {
      const { iot, mqtt, mqtt5 } = globalThis.sdk;
      const older = new mqtt.MqttClient().new_connection(
        iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets()
          .with_clean_session(true).with_client_id(`client_${crypto.randomUUID()}`).with_endpoint('localhost')
          .with_custom_authorizer('', 'told', '', password).with_keep_alive_seconds(1200).with_port(port).build(),
      );
      await older.connect();
      const first = new Promise((resolve) => {
        older.subscribe('page/sdk', mqtt.QoS.AtLeastOnce, (on, payload) => resolve([on, new TextDecoder().decode(payload)]));
      });
      const newer = new mqtt5.Mqtt5Client(
        iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithCustomAuth('localhost', { authorizerName: 'told', username: '', password: new TextEncoder().encode(password) })
          .withPort(port).withConnectProperties({ clientId: `client_${crypto.randomUUID()}`, keepAliveIntervalSeconds: 60 }).build(),
      );
      const connected = new Promise((resolve, reject) => {
        newer.on('connectionSuccess', resolve);
        newer.on('connectionFailure', ({ error }) => reject(error));
      });
      newer.start();
      await connected;
      const second = new Promise((resolve) => newer.on('messageReceived', ({ message }) => resolve([message.topicName, new TextDecoder().decode(message.payload)])));
      await newer.subscribe({ subscriptions: [{ topicFilter: 'page/+', qos: mqtt5.QoS.AtLeastOnce }] });
      await newer.publish({ topicName: 'page/sdk', qos: mqtt5.QoS.AtLeastOnce, payload: 'from 5' });
      const both = await Promise.all([first, second]);
      newer.stop();
      await older.disconnect();
      return both;
    }, [server.wssPort, String(policy())]), 'the page hears itself');
    assert.deepEqual(heard, [['page/sdk', 'from 5'], ['page/sdk', 'from 5']]);
    await tab.close();
  });
});
