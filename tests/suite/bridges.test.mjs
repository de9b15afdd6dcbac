// What one server for both makes possible: WebSocket connections that get the messages of
// topics, and calls of `@connections` for many.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { broker, join, unique } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

let server;
before(async () => {
  server = await broker('bridges');
});
after(() => server.stop());

/** A connection of the API, and its id. */
async function client(query = '') {
  const opened = await connect(`${server.url()}${query}`);
  return { client: opened, id: await opened.ask('{}') };
}

/** One call of the management API. */
async function call(method, path, { body, headers } = {}) {
  const answer = await fetch(`http://${server.host}/dev/@connections${path}`, { method, body, headers });
  const text = await answer.text();
  return { status: answer.status, body: text && JSON.parse(text), errorType: answer.headers.get('x-amzn-errortype') };
}

const at = (id, rest) => `/${encodeURIComponent(id)}/${rest}`;
const ENVELOPE = { 'content-type': 'application/vnd.fanwire.post+json' };

describe('a WebSocket connection', () => {
  test('gets what is published to the topics of its API, its own id in them', async () => {
    const [one, other] = [await client(), await client()];
    const peer = await join(server.tcp);
    await peer.publish(`connections/${one.id}`, 'for one', { qos: 1 });
    assert.equal(await one.client.next(), 'for one');
    await peer.publish(`news/${unique()}`, 'for all', { qos: 1 });
    assert.equal(await one.client.next(), 'for all');
    assert.equal(await other.client.next(), 'for all');
    await Promise.all([one.client.close(), other.client.close(), peer.leave()]);
  });

  test('has its messages published by its function, and MQTT clients get them', async () => {
    const { client: sender } = await client();
    const topic = unique('said');
    const peer = await join(server.ws);
    await peer.subscribe(topic);
    sender.send({ topic, payload: 'from a WebSocket' });
    assert.equal((await peer.next()).payload, 'from a WebSocket');
    await Promise.all([sender.close(), peer.leave()]);
  });

  test('is subscribed to a topic and unsubscribed by a call', async () => {
    const { client: reader, id } = await client();
    const topic = unique('room');
    const peer = await join(server.tcp);
    assert.equal((await call('PUT', at(id, `topics/${topic}/+/%23`))).status, 204);
    assert.deepEqual((await call('GET', at(id, 'topics'))).body, {
      topics: [`connections/${id}`, 'news/#', `${topic}/+/#`],
    });
    await peer.publish(`${topic}/a/b`, Buffer.from([0xff, 0x00]), { qos: 1 });
    assert.deepEqual([...await reader.next()], [0xff, 0x00], 'bytes that are no text come as a binary message');
    assert.equal((await call('DELETE', at(id, `topics/${topic}/+/%23`))).status, 204);
    await peer.publish(`${topic}/a/b`, 'unheard', { qos: 1 });
    await peer.publish(`connections/${id}`, 'heard', { qos: 1 });
    assert.equal(await reader.next(), 'heard');
    await Promise.all([reader.close(), peer.leave()]);
  });

  test('begins with the tags and topics that $connect answers with, and its client does not see them', async () => {
    const [tag, topic] = [unique('tag'), unique('topic')];
    let headers;
    const opened = await connect(`${server.url()}?tags=${tag},%20second&topics=${topic}/%2B`, {
      finishRequest(request) {
        request.on('upgrade', (response) => { headers = response.headers; });
        request.end();
      },
    });
    const id = await opened.ask('{}');
    assert.equal(headers['x-kept'], 'yes');
    assert.ok(!Object.keys(headers).some((name) => name.startsWith('fanwire-')), JSON.stringify(headers));
    assert.deepEqual((await call('GET', at(id, 'tags'))).body, { tags: [tag, 'second'] });
    assert.ok((await call('GET', at(id, 'topics'))).body.topics.includes(`${topic}/+`));
    await opened.close();
  });

  test('is refused a topic filter that is none, and so is one that is gone', async () => {
    const { client: reader, id } = await client();
    assert.equal((await call('PUT', at(id, 'topics/a%23'))).status, 400);
    assert.equal((await call('PUT', at(id, `tags/${'x'.repeat(257)}`))).status, 400);
    assert.equal((await call('PUT', at(id, 'tags'))).status, 405);
    await reader.close();
    await eventually(async () => (await call('PUT', at(id, 'tags/a'))).status === 410, 'the connection is gone');
  });
});

describe('a message of a topic that an API may not send', () => {
  test('is dropped and counted, and the log tells of it once a second', async () => {
    const strict = await broker('bridges', { args: ['--profile', 'aws'] });
    const reader = await connect(strict.url());
    const peer = await join(strict.tcp);
    for (let number = 0; number < 20; number += 1) await peer.publish('news/x', Buffer.from([0xff]), { qos: 1 });
    await peer.publish('news/x', 'text', { qos: 1 });
    assert.equal(await reader.next(), 'text');
    const told = ({ type, text }) => type === 'news' && /messages? of topics dropped.*`news\/#`.*UTF-8/.test(text);
    await strict.events.find(told, 'the log tells of it');
    const listed = await (await fetch(`http://${strict.host}/_fanwire/connections`)).json();
    assert.equal(listed.droppedTopicMessages, 20);
    await Promise.all([reader.close(), peer.leave()]);
    await strict.stop();
    assert.ok(strict.events.items.filter(told).length < 5, 'not of each');
  });
});

describe('one call', { concurrency: true }, () => {
  test('reaches those with a tag, each once', async () => {
    const tag = unique('tag');
    const [one, two, other] = [await client(`?tags=${tag},x`), await client(), await client()];
    await call('PUT', at(two.id, `tags/${tag}`));
    const { status, body } = await call('POST', `?tag=${tag}&tag=${tag}&id=${encodeURIComponent(one.id)}`, { body: 'hello' });
    assert.equal(status, 200);
    assert.deepEqual(body, { sent: 2, gone: [], full: [] });
    assert.equal(await one.client.next(), 'hello');
    assert.equal(await two.client.next(), 'hello');
    await call('DELETE', at(two.id, `tags/${tag}`));
    assert.equal((await call('POST', `?tag=${tag}`, { body: 'again' })).body.sent, 1);
    assert.equal(await one.client.next(), 'again', 'the one message before it came once');
    for (const each of [one, two, other]) await each.client.close();
  });

  test('reaches those that are subscribed to a topic, and no MQTT client', async () => {
    const topic = unique('room');
    const { client: reader, id } = await client(`?topics=${topic}/%2B`);
    const peer = await join(server.tcp);
    await peer.subscribe('#');
    assert.equal((await call('POST', `?topic=${topic}/1`, { body: 'only here' })).body.sent, 1);
    assert.equal(await reader.next(), 'only here');
    await peer.publish(`connections/${id}`, 'to both', { qos: 1 });
    assert.equal((await peer.next()).payload, 'to both');
    await Promise.all([reader.close(), peer.leave()]);
  });

  test('names ids and says which of them are gone', async () => {
    const [one, two] = [await client(), await client()];
    await two.client.close();
    const ids = [one.id, two.id];
    await eventually(async () => (await call('GET', `/${encodeURIComponent(two.id)}`)).status === 410, 'one is gone');
    const body = JSON.stringify({ ids, text: 'hello' });
    const answer = await call('POST', '', { body, headers: ENVELOPE });
    assert.deepEqual(answer.body, { sent: 1, gone: [two.id], full: [] });
    assert.equal(await one.client.next(), 'hello');
    const bytes = JSON.stringify({ ids: [one.id], base64: 'AP8=' });
    await call('POST', '', { body: bytes, headers: ENVELOPE });
    assert.deepEqual([...await one.client.next()], [0x00, 0xff]);
    await one.client.close();
  });

  test('that names nobody in an envelope reaches nobody', async () => {
    const { client: reader, id } = await client();
    const answer = await call('POST', '', { body: JSON.stringify({ ids: [], text: 'x' }), headers: ENVELOPE });
    assert.deepEqual(answer.body, { sent: 0, gone: [], full: [] });
    await call('POST', `?id=${encodeURIComponent(id)}`, { body: 'first' });
    assert.equal(await reader.next(), 'first');
    await reader.close();
  });

  test('is refused where an id is none, where a body is no envelope, and from a web page', async () => {
    assert.equal((await call('POST', '?id=../../etc')).status, 400);
    assert.equal((await call('POST', '', { body: '{}', headers: ENVELOPE })).status, 400);
    assert.equal((await call('POST', '?tag=x', { headers: { origin: 'http://localhost:3000' } })).status, 403);
  });

  test('for many is refused with API Gateway\'s limits', async () => {
    const strict = await start(app('bridges'), { args: ['--profile', 'aws'] });
    const answer = await fetch(`http://${strict.host}/dev/@connections?tag=x`, { method: 'POST', body: 'x' });
    assert.equal(answer.status, 403);
    await strict.stop();
  });
});
