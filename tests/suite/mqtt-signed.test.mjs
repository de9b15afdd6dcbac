// AWS's device SDK for JavaScript, on Node and in a page, with a key of `fanwire serve` that the URL of its WebSocket is
// signed with (SigV4): what the key may do, the client may.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { auth, iot, mqtt, mqtt5 } from 'aws-iot-device-sdk-v2';

import { Authority, put } from '../harness/certificates.mjs';
import { start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { unique } from '../harness/mqtt.mjs';
import { Browser, deviceSdk } from '../harness/page.mjs';
import { Feed, eventually, within } from '../harness/patience.mjs';

/** The name by which a page finds the server. */
const HOST = 'iot.example.com';
const REGION = 'eu-west-1';
const key = (id, letter, token) => ({ id, secret: letter.repeat(40), token });
const DEVICE = key('AKIDDEVICE', 'd');
const TEMPORARY = key('ASIDTEMPORARY', '/', 'a+session/token of some length==');
/** Hears everything and says nothing. */
const LISTENER = key('AKIDLISTENER', 'l');
const DEVICES = { 'a key': DEVICE, 'temporary credentials': TEMPORARY };
/** Who is not let in, and what the server says of them. */
const NOBODY = {
  'a wrong secret': [{ ...DEVICE, secret: LISTENER.secret }, 'InvalidSignatureException'],
  'an unknown key': [{ ...DEVICE, id: 'AKIDUNKNOWN' }, 'UnrecognizedClientException'],
  'no session token': [{ ...TEMPORARY, token: undefined }, 'UnrecognizedClientException'],
};

/** Clients of MQTT 5: one that is closed keeps this process until it is collected (awslabs/aws-crt-nodejs#600). */
const clients = [];
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

let authority;
let server;
before(async () => {
  const folder = temporaryFolder('signed');
  authority = await Authority.make();
  await put(folder, await authority.issue(['localhost', HOST]));
  writeFileSync(path.join(folder, 'fanwire.toml'), `name = "signed"\nregion = "${REGION}"\n[realtime]\n`);
  const devices = ['iot:Connect device-*', 'iot:Subscribe rooms/*', 'iot:Receive rooms/*', 'iot:Publish rooms/*'];
  const keys = [[DEVICE, devices], [TEMPORARY, devices], [LISTENER, ['iot:Connect', 'iot:Subscribe', 'iot:Receive']]];
  writeFileSync(path.join(folder, 'fanwire.serve.toml'), [
    '[[tls.certificates]]', 'certificate = "tls.crt"', 'key = "tls.key"',
    ...keys.flatMap(([{ id, secret, token }, allow]) => [
      `[access.keys.${id}]`, `id = "${id}"`, `secret = "${secret}"`, ...token ? [`session_token = "${token}"`] : [], `allow = ${JSON.stringify(allow)}`,
    ]),
  ].join('\n'));
  server = await start(folder, { command: 'serve', args: ['--verbose'] });
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
  await eventually(() => {
    collect();
    return clients.every((client) => !client.deref());
  }, 'nobody has a client any more');
});

/** Waits until the server has told of another two whom it has refused: one of MQTT 3.1.1, and one of 5. */
function refusals(why) {
  const wanted = ({ text }) => text?.startsWith(`refused: 127.0.0.1: ${why}:`);
  const before = server.events.items.filter(wanted).length;
  return () => server.events.count(wanted, before + 2, `refusals with ${why}`);
}

/** The SDK's MQTT 3.1.1 on Node. */
function connection311({ id, secret, token }, clientId = unique('device')) {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets()
    .with_certificate_authority(authority.pem)
    .with_credentials(REGION, id, secret, token)
    .with_endpoint('localhost')
    .with_port(server.port)
    .with_client_id(clientId)
    .with_clean_session(true)
    .build();
  return new mqtt.MqttClient().new_connection(config);
}

/** The SDK's MQTT 5 on Node, which has begun to connect, and what it tells. */
function client5({ id, secret, token }, clientId = unique('device')) {
  const credentialsProvider = auth.AwsCredentialsProvider.newStatic(id, secret, token);
  const config = iot.AwsIotMqtt5ClientConfigBuilder
    .newWebsocketMqttBuilderWithSigv4Auth('localhost', { credentialsProvider, region: REGION })
    .withCertificateAuthority(authority.pem)
    .withPort(server.port)
    .withConnectProperties({ keepAliveIntervalSeconds: 60, clientId })
    .build();
  const client = new mqtt5.Mqtt5Client(config);
  clients.push(new WeakRef(client));
  const events = new Feed();
  for (const type of ['connectionSuccess', 'connectionFailure', 'messageReceived', 'stopped']) {
    client.on(type, (event) => events.push({ type, ...event }));
  }
  client.start();
  const find = (wanted) => events.find(({ type }) => type === wanted, `the SDK tells ${wanted}`);
  return {
    connected: () => find('connectionSuccess'),
    failed: () => find('connectionFailure'),
    /** What has been heard, once `last` has. */
    heard: async (last) => {
      const heard = (event) => event.message && [event.message.topicName, Buffer.from(event.message.payload).toString()];
      await events.find((event) => heard(event)?.[1] === last, `the SDK hears ${last}`);
      return events.items.map(heard).filter(Boolean);
    },
    subscribe: async (...filters) => {
      const subscriptions = filters.map((topicFilter) => ({ topicFilter, qos: mqtt5.QoS.AtLeastOnce }));
      return (await within(client.subscribe({ subscriptions }), 'a SUBACK')).reasonCodes;
    },
    publish: async (topicName, payload) => {
      const puback = await within(client.publish({ topicName, payload, qos: mqtt5.QoS.AtLeastOnce }), 'a PUBACK');
      return puback.reasonCode;
    },
    async stop() {
      client.stop();
      await find('stopped');
      client.close();
    },
  };
}

describe('aws-iot-device-sdk-v2 on Node, with a signed URL', () => {
  /** Somebody to whom what the key may not publish would come, before what it may. */
  let listener;
  before(async () => {
    listener = client5(LISTENER, unique('listener'));
    await listener.connected();
    assert.deepEqual(await listener.subscribe('#'), [mqtt5.SubackReasonCode.GrantedQoS1]);
  });
  after(async () => {
    await listener.stop();
    listener = undefined;
  });

  for (const [what, known] of Object.entries(DEVICES)) {
    test(`speaks MQTT 3.1.1 with ${what}, as far as the key may`, async () => {
      const connection = connection311(known);
      await within(connection.connect(), 'the SDK connects');
      const [topic, forbidden] = [`rooms/${unique()}`, unique('forbidden')];
      const heard = new Feed();
      const hear = (on, payload) => heard.push([on, Buffer.from(payload).toString()]);
      assert.equal((await connection.subscribe(topic, mqtt.QoS.AtLeastOnce, hear)).qos, 1);
      assert.equal((await connection.subscribe(forbidden, mqtt.QoS.AtLeastOnce, hear)).qos, 0x80);
      await connection.publish(forbidden, 'may not', mqtt.QoS.AtLeastOnce);
      await connection.publish(topic, `3.1.1 with ${what}`, mqtt.QoS.AtLeastOnce);
      assert.deepEqual(await heard.take('the message'), [topic, `3.1.1 with ${what}`]);
      assert.ok((await listener.heard(`3.1.1 with ${what}`)).every(([on]) => on !== forbidden));
      await within(connection.disconnect(), 'the SDK disconnects');
    });

    test(`speaks MQTT 5 with ${what}, and is told what the key may not`, async () => {
      const device = client5(known);
      await device.connected();
      const [topic, forbidden] = [`rooms/${unique()}`, unique('forbidden')];
      const { GrantedQoS1, NotAuthorized } = mqtt5.SubackReasonCode;
      assert.deepEqual(await device.subscribe(topic, forbidden), [GrantedQoS1, NotAuthorized]);
      assert.equal(await device.publish(forbidden, 'may not'), mqtt5.PubackReasonCode.NotAuthorized);
      assert.equal(await device.publish(topic, `5 with ${what}`), mqtt5.PubackReasonCode.Success);
      assert.deepEqual(await device.heard(`5 with ${what}`), [[topic, `5 with ${what}`]]);
      assert.ok((await listener.heard(`5 with ${what}`)).every(([on]) => on !== forbidden));
      await device.stop();
    });
  }

  test('is not let in with a client id that the key may not have', async () => {
    const device = client5(DEVICE, unique('stranger'));
    assert.equal((await device.failed()).connack.reasonCode, mqtt5.ConnectReasonCode.NotAuthorized);
    await device.stop();
    const clientId = unique('stranger');
    // What CONNACK says does not come through.
    await assert.rejects(within(connection311(DEVICE, clientId).connect(), 'the SDK gives up'), /MQTT_PROTOCOL_ERROR/);
    await server.events.find(({ event, clientId: id }) => event === 'refused' && id === clientId, 'the server tells of it');
  });

  for (const [what, [unknown, why]] of Object.entries(NOBODY)) {
    test(`does not connect with ${what}`, async () => {
      const refused = refusals(why);
      await assert.rejects(within(connection311(unknown).connect(), 'the SDK gives up'), /WEBSOCKET_UPGRADE_FAILURE/);
      const device = client5(unknown);
      const { error, connack } = await device.failed();
      assert.match(String(error), /WEBSOCKET_UPGRADE_FAILURE/);
      assert.equal(connack, undefined);
      await device.stop();
      await refused();
    });
  }
});

describe('aws-iot-device-sdk-v2 in a page, with a signed URL', () => {
  let browser;
  let script;
  before(async () => {
    // In a page the SDK takes the port out of the URL that it has signed, so that it always comes to 443.
    const args = [`--host-resolver-rules=MAP ${HOST}:443 127.0.0.1:${server.port}`];
    [browser, script] = await Promise.all([Browser.open({ args }), deviceSdk()]);
  });
  after(() => browser?.close());

  /** What the SDK's MQTT 3.1.1 and its MQTT 5 hear, and what they are told that they may not. */
  async function converse(credentials) {
    const tab = await browser.page(script);
    const told = await within(tab.evaluate(async ([host, region, { id, secret, token }]) => {
      const { auth, iot, mqtt, mqtt5 } = globalThis.sdk;
      const clientId = () => `device-${crypto.randomUUID()}`;
      const text = (payload) => new TextDecoder().decode(payload);
      const older = new mqtt.MqttClient().new_connection(
        iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets()
          .with_credentials(region, id, secret, token).with_endpoint(host).with_client_id(clientId()).with_clean_session(true).build(),
      );
      const credentialsProvider = new auth.StaticCredentialProvider({
        aws_region: region, aws_access_id: id, aws_secret_key: secret, aws_sts_token: token,
      });
      const newer = new mqtt5.Mqtt5Client(
        iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithSigv4Auth(host, { credentialsProvider, region })
          .withConnectProperties({ clientId: clientId(), keepAliveIntervalSeconds: 60 }).build(),
      );
      const connected = new Promise((resolve, reject) => {
        newer.on('connectionSuccess', resolve);
        newer.on('connectionFailure', ({ error }) => reject(error));
      });
      newer.start();
      const came = await Promise.allSettled([older.connect(), connected]);
      if (came.some(({ status }) => status === 'rejected')) {
        newer.stop();
        return came.map(({ status }) => status);
      }
      const first = new Promise((resolve) => {
        older.on('message', (on, payload) => resolve([on, text(payload)]));
      });
      const second = new Promise((resolve) => newer.on('messageReceived', ({ message }) => resolve([message.topicName, text(message.payload)])));
      const { qos } = await older.subscribe('rooms/page', mqtt.QoS.AtLeastOnce);
      const { reasonCodes } = await newer.subscribe({ subscriptions: ['rooms/+', 'other'].map((topicFilter) => ({ topicFilter, qos: 1 })) });
      const { reasonCode } = await newer.publish({ topicName: 'other', qos: 1, payload: 'may not' });
      await newer.publish({ topicName: 'rooms/page', qos: 1, payload: 'from 5' });
      const both = await Promise.all([first, second]);
      newer.stop();
      await older.disconnect();
      return { qos, reasonCodes, reasonCode, both };
    }, [HOST, REGION, credentials]), 'the page has heard itself, or is refused');
    await tab.close();
    return told;
  }

  for (const [what, known] of Object.entries(DEVICES)) {
    test(`speaks MQTT 3.1.1 and 5 with ${what}, as far as the key may`, async () => {
      const hello = ['rooms/page', 'from 5'];
      assert.deepEqual(await converse(known), { qos: 1, reasonCodes: [1, 0x87], reasonCode: 0x87, both: [hello, hello] });
    });
  }

  for (const [what, [unknown, why]] of Object.entries(NOBODY)) {
    test(`does not connect with ${what}`, async () => {
      const refused = refusals(why);
      assert.deepEqual(await converse(unknown), ['rejected', 'rejected']);
      await refused();
    });
  }
});
