// Who gets in: custom authorizers as AWS IoT calls them, found in the URL, in a header or in the user name.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { allow, saying, startIot } from '../harness/iot.mjs';
import { Wire, join, turnedAway, unique } from '../harness/mqtt.mjs';
import { within } from '../harness/patience.mjs';

let server;
before(async () => {
  server = await startIot();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** The event of the authorizer for a client. */
const asked = (clientId, marker = 'AUTHORIZE') => server.printed(
  marker, (event) => event.protocolData.mqtt.clientId === clientId, `the ${marker} event of ${clientId}`,
);

for (const protocolVersion of [4, 5]) {
  const named = protocolVersion === 4 ? 'MQTT 3.1.1' : 'MQTT 5';
  const notAuthorized = protocolVersion === 4 ? 5 : 0x87;
  const options = (more = {}) => ({ protocolVersion, clientId: unique('client'), username: '', password: saying(), ...more });

  describe(`an authorizer is found, ${named},`, { concurrency: 4 }, () => {
    test('by the query of the URL, as mqtt.js of SST\'s example has it', async () => {
      const given = options({ password: saying({ principalId: 'inTheQuery' }) });
      const peer = await join(server.told, given);
      const { connectionMetadata, protocolData: { http, mqtt, tls }, ...event } = await asked(given.clientId);
      assert.deepEqual(event, { signatureVerified: false, protocols: ['tls', 'http', 'mqtt'] });
      assert.match(connectionMetadata.id, /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
      assert.deepEqual(tls, { serverName: '127.0.0.1' });
      assert.equal(http.queryString, '?x-amz-customauthorizer-name=told');
      const headers = Object.fromEntries(Object.entries(http.headers).map(([name, value]) => [name.toLowerCase(), value]));
      assert.equal(headers['sec-websocket-protocol'], 'mqtt');
      assert.equal(headers.host, server.host);
      assert.deepEqual(mqtt, { clientId: given.clientId, username: '', password: given.password.toString('base64') });
      await peer.leave();
    });

    test('by a header of the upgrade', async () => {
      const given = options({ wsOptions: { headers: { 'X-Amz-CustomAuthorizer-Name': 'told' } } });
      const peer = await join(server.ws, given);
      assert.equal((await asked(given.clientId)).protocolData.http.queryString ?? '', '');
      await peer.leave();
    });

    for (const [what, url] of [['in a WebSocket', () => server.ws], ['over TCP', () => server.tcp]]) {
      test(`by the query of the user name, ${what}`, async () => {
        const username = 'ada?x-amz-customauthorizer-name=told&SDK=NodeJSv2&Version=1.21.8';
        const given = options({ username });
        const peer = await join(url(), given);
        const { protocols, protocolData } = await asked(given.clientId);
        // The whole user name reaches the function.
        assert.equal(protocolData.mqtt.username, username);
        assert.deepEqual(protocols, what === 'over TCP' ? ['mqtt'] : ['tls', 'http', 'mqtt']);
        await peer.leave();
      });
    }

    test('and there is none: the client is refused', async () => {
      assert.equal(await turnedAway(server.tcp, options()), notAuthorized);
      assert.equal(await turnedAway(server.ws, options()), notAuthorized);
    });

    test('and is not known: the client is refused', async () => {
      const code = await turnedAway(`${server.ws}?x-amz-customauthorizer-name=nobody`, options());
      assert.ok([notAuthorized, 4, 0x86].includes(code), `${code}`);
    });
  });

  describe(`a client is refused, ${named},`, { concurrency: 4 }, () => {
    for (const [what, told] of [
      ['where the authorizer says so', [{ isAuthenticated: false }]],
      ['where the authorizer throws', [{ throw: 'no' }]],
      ['where the answer says nothing of it', [{ isAuthenticated: null }]],
      ['where the principal has characters that AWS refuses', [{ principalId: 'ada@example.com' }]],
      ['where the principal is too long', [{ principalId: 'a'.repeat(129) }]],
      ['where the time to the disconnect is too short', [{ disconnectAfterInSeconds: 299 }]],
      ['where the time to the refresh is too long', [{ refreshAfterInSeconds: 86_401 }]],
      ['where there is no policy', [{ policyDocuments: [] }]],
      ['where there are more than ten policies', [{ policyDocuments: Array(11).fill({ Version: '2012-10-17', Statement: [allow('*', '*')] }) }]],
      ['where a policy is longer than 2,048 characters', [allow('*', '*', `topic/${'x'.repeat(2_048)}`)]],
      ['where the policy does not let its client id connect', [{ policyDocuments: [{ Version: '2012-10-17', Statement: [allow('Connect', 'client/somebody-else'), allow('Publish', '*')] }] }]],
      ['where the policy denies it', [{ policyDocuments: [{ Version: '2012-10-17', Statement: [allow('*', '*'), { ...allow('Connect', '*'), Effect: 'Deny' }] }] }]],
    ]) {
      test(what, async () => {
        assert.equal(await turnedAway(server.told, options({ password: saying(...told) })), notAuthorized);
      });
    }

    test('where it may not publish its will', async () => {
      const will = { topic: 'wills/mine', payload: Buffer.from('x'), qos: 1, retain: false };
      const policy = allow('Publish', 'topic/wills/other');
      assert.equal(await turnedAway(server.told, options({ password: saying(policy), will })), notAuthorized);
      const retained = { ...will, retain: true };
      const half = allow('Publish', 'topic/wills/mine');
      assert.equal(await turnedAway(server.told, options({ password: saying(half), will: retained })), notAuthorized);
      const peer = await join(server.told, options({ password: saying(half), will }));
      await peer.leave();
    });
  });

  describe(`a signed token, ${named},`, { concurrency: 4 }, () => {
    const query = (token, signature) => `?${new URLSearchParams({
      'x-amz-customauthorizer-name': 'signed',
      ...(token ? { ticket: token } : {}),
      ...(signature ? { 'x-amz-customauthorizer-signature': signature } : {}),
    })}`;

    test('with its signature lets in, by the URL', async () => {
      const given = options();
      const peer = await join(server.ws + query('ada', server.signature('ada')), given);
      const { token, signatureVerified } = await asked(given.clientId, 'SIGNED');
      assert.deepEqual({ token, signatureVerified }, { token: 'ada', signatureVerified: true });
      await peer.leave();
    });

    test('with its signature lets in, by headers', async () => {
      const given = options({
        wsOptions: { headers: { 'x-amz-customauthorizer-name': 'signed', ticket: 'grace', 'x-amz-customauthorizer-signature': server.signature('grace') } },
      });
      const peer = await join(server.ws, given);
      assert.equal((await asked(given.clientId, 'SIGNED')).token, 'grace');
      await peer.leave();
    });

    test('with its signature lets in, by the user name', async () => {
      const given = options({ username: query('joan', server.signature('joan')) });
      const peer = await join(server.tcp, given);
      assert.equal((await asked(given.clientId, 'SIGNED')).token, 'joan');
      await peer.leave();
    });

    for (const [what, token, signature] of [
      ['another token\'s signature', 'eve', () => server.signature('ada')],
      ['a signature that is none', 'eve', () => 'AAAA'],
      ['no signature', 'eve', () => undefined],
    ]) {
      test(`with ${what} is refused before the function is asked`, async () => {
        const given = options();
        assert.equal(await turnedAway(server.ws + query(token, signature()), given), notAuthorized);
        // One who comes later has been asked about; that one not.
        const later = options();
        await (await join(server.ws + query('ada', server.signature('ada')), later)).leave();
        await asked(later.clientId, 'SIGNED');
        assert.ok(!server.events.items.some(({ text }) => text?.includes(given.clientId)));
      });
    }

    test('is asked for', async () => {
      assert.equal(await turnedAway(server.ws + query(), options()), notAuthorized);
    });
  });
}

test('policy documents may be texts', async () => {
  const topic = unique('texts');
  const document = JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: ['iot:Connect', 'iot:PUBLISH', 'iot:Subscribe', 'iot:Receive'], Resource: '*' },
  });
  const peer = await join(server.told, { username: '', password: saying({ policyDocuments: [document] }) });
  await peer.subscribe(topic, { qos: 1 });
  await peer.publish(topic, 'heard', { qos: 1 });
  assert.equal((await peer.next()).payload, 'heard');
  await peer.leave();
});

test('a client that sends before CONNACK is served once it is let in', async () => {
  const topic = unique('eager');
  const wire = await Wire.tcp(server.tcpPort, 4);
  wire.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: unique('eager'), keepalive: 60, username: '?x-amz-customauthorizer-name=told', password: saying() });
  wire.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] });
  wire.publish(topic, 'eager', { qos: 1, messageId: 2 });
  assert.equal((await wire.next('connack')).returnCode, 0);
  await within(wire.next('publish'), 'its own message');
  await wire.leave();
});
