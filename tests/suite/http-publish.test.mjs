// Publishing over HTTP with a custom authorizer, as devices and pages do that have no keys of AWS's
// (reference: iot.md, sections 1 and 2).

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { allow, saying, startIot } from '../harness/iot.mjs';
import { join, unique } from '../harness/mqtt.mjs';

let server;
before(async () => {
  server = await startIot();
});
after(() => server.stop());

/** The answer that has the signed authorizer allow these statements and no more. */
const only = (...statements) => JSON.stringify({ policyDocuments: [{ Version: '2012-10-17', Statement: statements }] });

/** A token that can be a principal: letters and digits. */
const word = () => unique('token').replace('-', '');

/** One POST to a topic with a token, its signature and a page's origin. */
async function post(topic, token, { signature = server.signature(token), query = '', authorizer = 'signed', body = 'over HTTP' } = {}) {
  const answer = await fetch(`http://${server.host}/topics/${encodeURIComponent(topic)}?qos=1${query}`, {
    method: 'POST',
    headers: {
      'x-amz-customauthorizer-name': authorizer,
      'x-amz-customauthorizer-signature': signature,
      ticket: token,
      origin: 'https://page.example',
    },
    body,
  });
  return { status: answer.status, errorType: answer.headers.get('x-amzn-errortype'), body: await answer.json() };
}

describe('a custom authorizer', { concurrency: true }, () => {
  test('is told of the request and lets it publish', async () => {
    const [topic, token] = [unique('http'), word()];
    const peer = await join(server.told, { username: '', password: saying() });
    await peer.subscribe(topic, { qos: 1 });
    const answer = await post(topic, token);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.equal((await peer.next()).payload, 'over HTTP');
    const { text } = await server.events.find(({ text: line }) => line?.includes('SIGNED') && line.includes(token), 'the authorizer is called');
    const event = JSON.parse(text.slice(text.indexOf('{')));
    assert.ok(event.protocols.includes('http') && !event.protocols.includes('mqtt'), String(event.protocols));
    assert.equal(event.protocolData.mqtt, undefined);
    assert.equal(event.protocolData.http.queryString, '?qos=1');
    assert.equal(event.signatureVerified, true);
    await peer.leave();
  });

  test('names the principal that topic rules see, beside no client', async () => {
    const token = word();
    assert.equal((await post('rules/hall/picked', token, { body: '{"reading":{"value":30}}' })).status, 200);
    const { event } = await server.printed('RECEIVED', ({ event: each }) => each.principal === token, 'the function is called');
    assert.deepEqual(event, { value: 30, room: 'hall', client: 'n/a', principal: token });
  });

  test('is found in the query too', async () => {
    const token = word();
    const query = new URLSearchParams({
      'x-amz-customauthorizer-name': 'signed',
      'x-amz-customauthorizer-signature': server.signature(token),
      ticket: token,
    });
    const answer = await fetch(`http://${server.host}/topics/a?${query}`, { method: 'POST', body: 'x' });
    assert.equal(answer.status, 200);
  });

  test('allows what its policy says, and the log says what it does not', async () => {
    const [mine, other] = [unique('mine'), unique('other')];
    const token = only(allow('Publish', `topic/${mine}`));
    assert.equal((await post(mine, token)).status, 200);
    const denied = await post(other, token);
    assert.deepEqual([denied.status, denied.errorType, denied.body.message], [403, 'ForbiddenException', 'Forbidden']);
    await server.events.find(({ why }) => why?.includes(`iot:Publish on topic/${other} is denied`), 'the log tells');
    const retained = await post(mine, token, { query: '&retain=true' });
    assert.equal(retained.status, 403, 'retaining is another right');
  });

  test('turns away a token that is not signed, and an authorizer that is none', async () => {
    const topic = unique('http');
    const forged = await post(topic, 'token', { signature: server.signature('another') });
    assert.deepEqual([forged.status, forged.errorType], [401, 'UnauthorizedException']);
    assert.equal((await post(topic, 'token', { authorizer: 'nobody' })).status, 401);
  });

  test('allows nothing but publishing', async () => {
    const headers = { 'x-amz-customauthorizer-name': 'signed', ticket: 'a', 'x-amz-customauthorizer-signature': server.signature('a') };
    for (const [method, path] of [['GET', '/retainedMessage'], ['DELETE', '/connections/a'], ['GET', '/topics/a']]) {
      assert.equal((await fetch(`http://${server.host}${path}`, { method, headers })).status, 403, path);
    }
  });
});

test('a web page that names no authorizer publishes nothing', async () => {
  const answer = await fetch(`http://${server.host}/topics/a`, { method: 'POST', body: 'x', headers: { origin: 'http://localhost:3000' } });
  assert.equal(answer.status, 403);
});
