// Who gets in without an authorizer's name, for how long, and what is kept for whom: the default authorizer and its
// refreshes, users, tokens, sessions.

import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { app, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Wire, addresses, join, turnedAway, unique } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';

const ARN = 'arn:aws:iot:eu-west-1:123456789012';

/** A pair of keys that sign tokens, and the public one as it stands in a JWKS. */
function signer(kid) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' } };
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token, good for an hour of the real clock unless its claims say something else. */
function jwt({ kid, privateKey }, claims = {}) {
  const payload = {
    iss: 'https://issuer.example', aud: 'fanwire', sub: 'grace', team: 'red', exp: Math.floor(Date.now() / 1000) + 3600, ...claims,
  };
  const message = `${encoded({ alg: 'RS256', typ: 'JWT', kid })}.${encoded(payload)}`;
  return `${message}.${sign('sha256', Buffer.from(message), privateKey).toString('base64url')}`;
}

/** Starts the app, with its keys at `jwks`: a URL, or keys for a file. */
async function startAuth(jwks, edit = (toml) => toml) {
  const folder = temporaryFolder('auth');
  cpSync(app('realtime-auth'), folder, { recursive: true });
  if (typeof jwks !== 'string') writeFileSync(`${folder}/jwks.json`, JSON.stringify({ keys: jwks }));
  const toml = readFileSync(`${folder}/fanwire.toml`, 'utf8').replace('${env:JWKS}', typeof jwks === 'string' ? jwks : 'jwks.json');
  writeFileSync(`${folder}/fanwire.toml`, edit(toml));
  const server = await start(folder);
  return Object.assign(server, addresses(server.port), {
    advance: async (by) => {
      const { status, stderr } = await fanwire(['clock', 'advance', by, '--data', server.data]);
      assert.equal(status, 0, stderr);
    },
    told: (event, clientId) => server.events.find(
      (each) => each.type === 'realtime' && each.event === event && (!clientId || each.clientId === clientId),
      `the log tells that ${clientId ?? 'something'} is ${event}`,
    ),
  });
}

async function stopped(server) {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
}

/** A keep-alive that does not end before the clock that a test moves ahead does. */
const patient = { keepalive: 1200 };

const red = signer('red');
let server;
before(async () => {
  server = await startAuth([red.jwk]);
});
after(() => stopped(server));

/** A connection by hand that is let in. */
async function enterRaw(at, options) {
  const wire = await Wire.tcp(at.tcpPort, 5);
  wire.id = options.clientId ?? unique('client');
  wire.connack = await wire.connect({ clientId: wire.id, ...patient, ...options });
  assert.equal(wire.connack.reasonCode, 0, JSON.stringify(wire.connack));
  return wire;
}

/** What PUBACK says to a message of QoS 1. */
async function published(wire, topic) {
  wire.publish(topic, 'x', { qos: 1, messageId: 1 });
  return (await wire.next('puback')).reasonCode ?? 0;
}

const answers = (...list) => Buffer.from(JSON.stringify(list));
const mayPublish = (topic) => ({
  policyDocuments: [{
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
      { Effect: 'Allow', Action: 'iot:Publish', Resource: `${ARN}:topic/${topic}` },
    ],
  }],
});

describe('the default authorizer', () => {
  test('is asked about a client that names none', async () => {
    const clientId = unique('client');
    const peer = await join(server.ws, { clientId, password: answers({}), username: '' });
    await server.printed('ASKED', (event) => event.clientId === clientId, 'the default authorizer is asked');
    const { principal, protocol } = await server.told('connected', clientId);
    assert.deepEqual({ principal, protocol }, { principal: 'tester', protocol: 'MQTT 5 over WebSocket' });
    await peer.leave();
  });

  test('is asked again in its time, and the connection lives on by the new policy', async () => {
    const own = await startAuth([red.jwk]);
    const wire = await enterRaw(own, { username: '', password: answers(mayPublish('old'), mayPublish('new')) });
    assert.equal(await published(wire, 'old'), 0);
    assert.equal(await published(wire, 'new'), 0x87);
    await own.advance('301s');
    await own.printed('ASKED', ({ clientId, times }) => clientId === wire.id && times === 1, 'the authorizer is asked again');
    await eventually(async () => await published(wire, 'new') === 0, 'the new policy allows what it did not');
    assert.equal(await published(wire, 'old'), 0x87);
    await wire.leave();
    await stopped(own);
  });

  for (const [what, second] of [['throws', { throw: 'no more' }], ['says no', { isAuthenticated: false }], ['answers nonsense', { isAuthenticated: 'yes' }]]) {
    test(`ends the connection where it is asked again and ${what}`, async () => {
      const own = await startAuth([red.jwk]);
      const wire = await enterRaw(own, { username: '', password: answers({}, second) });
      await own.advance('301s');
      assert.equal(await wire.end(), 0x87);
      assert.equal((await own.told('disconnected', wire.id)).reason, 'AUTH_ERROR');
      await stopped(own);
    });
  }

  test('sets when the connection ends, whatever is said later', async () => {
    const own = await startAuth([red.jwk]);
    const first = { disconnectAfterInSeconds: 600, refreshAfterInSeconds: 300 };
    const wire = await enterRaw(own, { username: '', password: answers(first, { ...first, disconnectAfterInSeconds: 86_400 }) });
    await own.advance('301s');
    await own.printed('ASKED', ({ clientId, times }) => clientId === wire.id && times === 1, 'the authorizer is asked again');
    await own.advance('300s');
    assert.equal(await wire.end(), 0xa0);
    assert.equal((await own.told('disconnected', wire.id)).reason, 'CUSTOMAUTH_TTL_EXPIRATION');
    await stopped(own);
  });

  test('may answer what AWS refuses, in the open profile: the log tells what was put right', async () => {
    const own = await startAuth([red.jwk], (toml) => `profile = "open"\n${toml}`);
    const clientId = unique('lax');
    const answer = { principalId: 'ada@example.com', refreshAfterInSeconds: 1, disconnectAfterInSeconds: 1_000_000 };
    const peer = await join(own.tcp, { clientId, username: '', password: answers(answer) });
    assert.equal((await own.told('connected', clientId)).principal, 'ada@example.com');
    assert.match((await own.told('note', clientId)).why, /AfterInSeconds/);
    await peer.leave();
    await stopped(own);
  });
});

describe('an authorizer that is asked again', () => {
  test('may answer what AWS refuses, in the open profile: the log tells of that too', async () => {
    const own = await startAuth([red.jwk], (toml) => `profile = "open"\n${toml}`);
    const wire = await enterRaw(own, { username: '', password: answers(mayPublish('a'), { ...mayPublish('b'), refreshAfterInSeconds: 1 }) });
    await own.advance('301s');
    assert.match((await own.told('note', wire.id)).why, /refreshAfterInSeconds/);
    await wire.leave();
    await stopped(own);
  });
});

describe('a user', { concurrency: 4 }, () => {
  const ada = (more = {}) => ({ clientId: unique('ada'), username: 'ada', password: 'password', ...more });

  test('is let in with the right password, and does what its lists say', async () => {
    const wire = await enterRaw(server, ada());
    assert.equal((await server.told('connected', wire.id)).principal, 'ada');
    assert.deepEqual(await wire.subscribe(['of/#', 'elsewhere']), [1, 0x87]);
    assert.equal(await published(wire, 'of/ada/x'), 0);
    assert.equal(await published(wire, 'of/bob/x'), 0x87);
    const { why, principal } = await server.told('denied', wire.id);
    assert.equal(principal, 'ada');
    assert.match(why, /iot:(Publish|Subscribe).*denied/);
    await wire.leave();
  });

  test('may have what device SDKs put behind every user name', async () => {
    const peer = await join(server.ws, ada({ username: 'ada?SDK=NodeJSv2&Version=1.21.8' }));
    await peer.leave();
  });

  for (const [version, code] of [[4, 4], [5, 0x86]]) {
    test(`is refused with a wrong password, or none, MQTT ${version}`, async () => {
      const options = ada({ protocolVersion: version });
      assert.equal(await turnedAway(server.tcp, { ...options, password: 'Password' }), code);
      assert.equal(await turnedAway(server.tcp, { ...options, password: undefined }), code);
    });
  }

  test('is refused with a client id that is not one of its own', async () => {
    const clientId = unique('bob');
    assert.equal(await turnedAway(server.tcp, ada({ clientId })), 0x87);
    assert.match((await server.told('refused', clientId)).why, /iot:Connect on client\/bob-/);
  });

  test('is told nothing of policies', async () => {
    const wire = await Wire.tcp(server.tcpPort, 5);
    const { reasonCode, properties } = await wire.connect(ada({ clientId: unique('bob') }));
    assert.equal(reasonCode, 0x87);
    assert.equal(properties.reasonString, 'not let in; the server\'s log says why');
    await wire.end();
  });

  test('is known by fanwire policy test', async () => {
    const asking = ['policy', 'test', '--data', server.data, '--client', 'ada-1', '--username', 'ada', '--password', 'password'];
    assert.equal((await fanwire([...asking, 'publish', 'of/ada/x'])).status, 0);
    const { status, stdout } = await fanwire([...asking, 'publish', 'of/bob/x']);
    assert.equal(status, 1);
    assert.match(stdout, /iot:Publish on topic\/of\/bob\/x is denied/);
    const wire = await enterRaw(server, ada());
    const live = await fanwire(['policy', 'test', 'subscribe', 'elsewhere', '--of', wire.id, '--data', server.data]);
    assert.equal(live.status, 1, live.stderr);
    await wire.leave();
  });
});

describe('the bearer of a token', { concurrency: 4 }, () => {
  test('is let in by it as password, and does what its claims allow', async () => {
    const wire = await enterRaw(server, { username: 'anything', password: jwt(red) });
    assert.equal((await server.told('connected', wire.id)).principal, 'grace');
    assert.equal(await published(wire, 'teams/red/x'), 0);
    assert.equal(await published(wire, 'teams/blue/x'), 0x87);
    await wire.leave();
  });

  test('is let in by it in the URL or a header', async () => {
    await (await join(`${server.ws}?token=${jwt(red)}`)).leave();
    await (await join(server.ws, { wsOptions: { headers: { Token: jwt(red) } } })).leave();
  });

  const hmac = () => {
    const message = `${encoded({ alg: 'HS256', kid: 'red' })}.${encoded({ sub: 'eve', exp: 4_000_000_000 })}`;
    return `${message}.${createHmac('sha256', JSON.stringify(red.jwk)).update(message).digest('base64url')}`;
  };
  for (const [what, token, why] of [
    ['that is over', () => jwt(red, { exp: 1_700_000_000 }), /expired/],
    ['of another issuer', () => jwt(red, { iss: 'https://elsewhere.example' }), /`iss`/],
    ['for somebody else', () => jwt(red, { aud: ['other'] }), /`aud`/],
    ['of nobody', () => jwt(red, { sub: undefined }), /`sub`/],
    ['signed by somebody else', () => jwt(signer('red')), /signature is wrong/],
    ['signed with a key that is not known', () => jwt(signer('blue')), /"blue" is not in the JWKS/],
    ['signed with the public key as a secret', hmac, /HS256/],
    ['that is not signed', () => `${encoded({ alg: 'none', kid: 'red' })}.${encoded({ sub: 'eve', exp: 4_000_000_000 })}.AA`, /JWT/],
  ]) {
    test(`is refused by one ${what}`, async () => {
      const clientId = unique('token');
      assert.equal(await turnedAway(server.tcp, { clientId, username: 'x', password: token() }), 0x87);
      const { status, stdout } = await fanwire(['policy', 'test', 'connect', clientId, '--data', server.data, '--password', token(), '--json']);
      assert.equal(status, 1);
      assert.match(JSON.parse(stdout).refused, why);
    });
  }

  test('is disconnected when it is over', async () => {
    const own = await startAuth([red.jwk]);
    const wire = await enterRaw(own, { username: 'x', password: jwt(red, { exp: Math.floor(Date.now() / 1000) + 900 }) });
    await own.advance('890s');
    assert.equal(await published(wire, 'teams/red/x'), 0);
    await own.advance('11s');
    assert.equal(await wire.end(), 0xa0);
    await stopped(own);
  });

  test('is let in by a newer key of a URL, which is fetched once a minute at the most', async () => {
    const [old, newer] = [signer('old'), signer('newer')];
    let keys = [old.jwk];
    let fetched = 0;
    const issuer = createServer((_, response) => {
      fetched += 1;
      response.end(JSON.stringify({ keys }));
    });
    await new Promise((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const own = await startAuth(`http://127.0.0.1:${issuer.address().port}/jwks.json`);
    await (await join(own.tcp, { username: 'x', password: jwt(old) })).leave();
    keys = [newer.jwk];
    assert.equal(await turnedAway(own.tcp, { username: 'x', password: jwt(newer) }), 0x87);
    assert.equal(fetched, 1);
    await own.advance('61s');
    await (await join(own.tcp, { username: 'x', password: jwt(newer) })).leave();
    assert.equal(fetched, 2);
    assert.equal(await turnedAway(own.tcp, { username: 'x', password: jwt(old) }), 0x87);
    await stopped(own);
    issuer.close();
  });

  test('is refused while the keys cannot be had, which the log tells, and let in once they can', async () => {
    let status = 500;
    const issuer = createServer((_, response) => {
      response.writeHead(status).end(JSON.stringify({ keys: [red.jwk] }));
    });
    await new Promise((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const own = await startAuth(`http://127.0.0.1:${issuer.address().port}/jwks.json`);
    assert.match((await own.told('keys-failed')).why, /answered 500/);
    assert.equal(await turnedAway(own.tcp, { username: 'x', password: jwt(red) }), 0x88);
    status = 200;
    await own.advance('6s');
    await (await join(own.tcp, { username: 'x', password: jwt(red) })).leave();
    await stopped(own);
    issuer.close();
  });
});

describe('a session that outlives its connection', { concurrency: 4 }, () => {
  /** Whether a client that comes back finds the session of one that was there with this principal. */
  const found = async (before, then) => {
    const session = { clientId: unique('session'), clean: false, properties: { sessionExpiryInterval: 3600 }, username: '' };
    const wire = await enterRaw(server, { ...session, password: answers({ principalId: before }) });
    await wire.leave();
    const again = await enterRaw(server, { ...session, password: answers({ principalId: then }) });
    await again.leave();
    return again.connack.sessionPresent;
  };

  test('is found again by its principal', async () => {
    assert.equal(await found('ada', 'ada'), true);
  });

  test('is not found by another principal', async () => {
    assert.equal(await found('ada', 'eve'), false);
  });

  test('is found again where SST\'s authorizer names principals by the time', async () => {
    assert.equal(await found('now', 'now'), true);
  });

  test('is not found by another principal that only looks like a time', async () => {
    assert.equal(await found('4915112345678', '4915187654321'), false);
  });
});
