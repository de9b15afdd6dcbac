// What every broker does, in MQTT 3.1.1 and 5. Each test of `the cases of client_test` and, with the version 5, of
// client_test5 is named after the case of Eclipse's paho.mqtt.testing that asks for the same; what only MQTT 5 has
// is in mqtt-five.test.mjs.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Wire, broker, connectPacket, join, unique } from '../harness/mqtt.mjs';
import { eventually } from '../harness/patience.mjs';

let server;
before(async () => {
  server = await broker();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

for (const version of [4, 5]) {
  /** mqtt.js, with a session that outlives the connection where `clean` is not. */
  const enter = (options) => join(server.tcp, { protocolVersion: version, ...options });
  const lasting = (options = {}) => ({
    clean: false,
    ...(version === 5 ? { properties: { sessionExpiryInterval: 99_999 } } : {}),
    ...options,
  });
  const raw = () => Wire.tcp(server.tcpPort, version);

  describe(`the cases of ${version === 4 ? 'client_test, MQTT 3.1.1' : 'client_test5, MQTT 5, that 3.1.1 has too'}`, { concurrency: 4 }, () => {
    test('basic: a subscriber gets what is published with any QoS', async () => {
      const topic = unique('basic');
      await (await enter()).leave();
      const peer = await enter();
      assert.equal(peer.connack.sessionPresent, false);
      assert.deepEqual(await peer.subscribe(topic), [2]);
      for (const qos of [0, 1, 2]) await peer.publish(topic, `qos ${qos}`, { qos });
      for (const qos of [0, 1, 2]) {
        const message = await peer.next();
        assert.deepEqual([message.topic, message.payload, message.qos, message.retain], [topic, `qos ${qos}`, qos, false]);
      }
      await peer.leave();
    });

    test('basic: a second CONNECT on a connection ends it', async () => {
      const wire = await raw();
      await wire.connect();
      wire.send(connectPacket(version));
      const reason = await wire.end();
      if (version === 5) assert.ok(reason === undefined || reason === 0x82, `${reason}`);
    });

    test('basic: a CONNECT with another protocol name ends the connection', async () => {
      const wire = await raw();
      wire.write([0x10, 0x0f, 0, 2, ...Buffer.from('hj'), version, 2, 0, 60, ...(version === 5 ? [0, 0, 4] : [0, 5]), ...Buffer.from('nobody').subarray(0, version === 5 ? 4 : 5)]);
      await wire.end();
      assert.ok(!wire.packets.items.some(({ cmd, reasonCode, returnCode }) => cmd === 'connack' && (reasonCode ?? returnCode) === 0));
    });

    test('retained messages: a later subscriber gets them, with RETAIN and their QoS, until they are cleared', async () => {
      const base = unique('retained');
      const peer = await enter();
      const topics = [0, 1, 2].map((qos) => `${base}/qos ${qos}`);
      for (const qos of [1, 2, 0]) await peer.publish(topics[qos], `qos ${qos}`, { qos, retain: true });
      await peer.subscribe(`${base}/+`);
      const messages = [await peer.next(), await peer.next(), await peer.next()];
      messages.sort((a, b) => a.qos - b.qos);
      assert.deepEqual(
        messages.map(({ topic, payload, qos, retain }) => ({ topic, payload, qos, retain })),
        [0, 1, 2].map((qos) => ({ topic: topics[qos], payload: `qos ${qos}`, qos, retain: true })),
      );
      await peer.leave();

      const clearing = await enter();
      for (const qos of [1, 2, 0]) await clearing.publish(topics[qos], '', { qos, retain: true });
      await clearing.subscribe(`${base}/+`);
      await clearing.publish(`${base}/last`, 'last', { qos: 2 });
      assert.deepEqual(await clearing.until('last'), []);
      await clearing.leave();
    });

    test('retained messages: a live subscriber gets them without RETAIN', async () => {
      const topic = unique('retained');
      const peer = await enter();
      await peer.subscribe(topic);
      await peer.publish(topic, 'live', { qos: 1, retain: true });
      const { payload, retain } = await peer.next();
      assert.deepEqual({ payload, retain }, { payload: 'live', retain: false });
      await peer.publish(topic, '', { qos: 1, retain: true });
      await peer.leave();
    });

    test('will message: it is published where the client goes without DISCONNECT, and not where it says so', async () => {
      const topic = unique('will');
      const watcher = await enter();
      await watcher.subscribe(topic);
      const will = (payload) => ({ will: { topic, payload: Buffer.from(payload), qos: 1, retain: false } });
      await (await enter(will('polite'))).leave();
      await (await enter(will('lost'))).drop();
      const { payload, qos } = await watcher.next();
      assert.deepEqual({ payload, qos }, { payload: 'lost', qos: 1 });
      await watcher.leave();
    });

    test('will message: a client that only stops sending leaves it too', async () => {
      const topic = unique('will');
      const watcher = await enter();
      await watcher.subscribe(topic);
      const wire = await raw();
      await wire.connect({ will: { topic, payload: 'half closed', qos: 2, retain: false } });
      wire.stream.end();
      assert.equal((await watcher.next()).payload, 'half closed');
      await watcher.leave();
    });

    test('zero length client id: it works with a clean session', async () => {
      const wire = await raw();
      const connack = await wire.connect({ clientId: '', clean: true });
      assert.equal(connack.reasonCode ?? connack.returnCode, 0);
      await wire.leave();
    });

    test(`zero length client id: without a clean session it is ${version === 4 ? 'refused with 2' : 'accepted'}`, async () => {
      const wire = await raw();
      // Written by hand: mqtt-packet does not let it through.
      if (version === 4) wire.write([0x10, 12, 0, 4, ...Buffer.from('MQTT'), 4, 0, 0, 60, 0, 0]);
      else wire.write([0x10, 13, 0, 4, ...Buffer.from('MQTT'), 5, 0, 0, 60, 0, 0, 0]);
      const connack = await wire.next('connack');
      assert.equal(connack.reasonCode ?? connack.returnCode, version === 4 ? 2 : 0);
      assert.equal(connack.sessionPresent, false);
      if (version === 4) await wire.end();
      else await wire.leave();
    });

    test('offline message queueing: a session that is away gets QoS 1 and 2 when it returns', async () => {
      const base = unique('offline');
      const clientId = unique('sleeper');
      const sleeper = await enter(lasting({ clientId, clean: true }));
      await sleeper.leave();
      const first = await enter(lasting({ clientId }));
      await first.subscribe(`${base}/#`);
      await first.leave();

      const other = await enter();
      for (const qos of [0, 1, 2]) await other.publish(`${base}/${qos}`, `qos ${qos}`, { qos });
      await other.leave();

      const again = await enter(lasting({ clientId }));
      assert.equal(again.connack.sessionPresent, true);
      await again.publish(`${base}/last`, 'last', { qos: 2 });
      const payloads = await again.until('last');
      assert.deepEqual(payloads.filter((each) => each !== 'qos 0'), ['qos 1', 'qos 2']);
      await again.leave();
    });

    test('overlapping subscriptions: one message with the highest QoS, or one for each', async () => {
      const base = unique('overlapping');
      const peer = await enter();
      assert.deepEqual(await peer.subscribe({ [`${base}/#`]: { qos: 2 }, [`${base}/+`]: { qos: 1 } }), [2, 1]);
      await peer.publish(`${base}/C`, 'overlapping topic filters', { qos: 2 });
      await peer.publish(base, 'last', { qos: 2 });
      await peer.publish(`${base}/C`, 'last', { qos: 2 });
      const found = [];
      for (;;) {
        const { payload, qos } = await peer.next();
        if (payload === 'last') break;
        found.push(qos);
      }
      assert.ok([[2], [1, 2], [2, 1]].some((allowed) => String(allowed) === String(found)), `QoS ${found}`);
      await peer.leave();
    });

    test('keepalive: a client that is silent for one and a half keep-alives is gone, with its will', async () => {
      const topic = unique('keepalive');
      const watcher = await enter({ keepalive: 0 });
      await watcher.subscribe(topic);
      const silent = await raw();
      const began = Date.now();
      await silent.connect({ keepalive: 2, will: { topic, payload: 'keepalive expiry', qos: 0, retain: false } });
      assert.equal((await watcher.next()).payload, 'keepalive expiry');
      const passed = Date.now() - began;
      assert.ok(passed > 2_000 && passed < 8_000, `after ${passed} ms`);
      const reason = await silent.end();
      if (version === 5) assert.ok(reason === undefined || reason === 0x8d, `${reason}`);
      await watcher.leave();
    });

    test('keepalive: PINGREQ keeps a client', async () => {
      const wire = await raw();
      const began = Date.now();
      await wire.connect({ keepalive: 1 });
      while (Date.now() - began < 3_000) {
        wire.send({ cmd: 'pingreq' });
        await wire.next('pingresp');
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      await wire.leave();
    });

    test('redelivery on reconnect: what was not acknowledged comes again, with DUP', async () => {
      const base = unique('redelivery');
      const clientId = unique('forgetful');
      const properties = version === 5 ? { sessionExpiryInterval: 99_999 } : undefined;
      const wire = await raw();
      await wire.connect({ clientId, clean: false, properties });
      await wire.subscribe(`${base}/#`);
      const other = await enter();
      await other.publish(`${base}/1`, 'one', { qos: 1 });
      await other.publish(`${base}/2`, 'two', { qos: 2 });
      const sent = [await wire.next('publish'), await wire.next('publish')];
      assert.deepEqual(sent.map(({ dup }) => dup), [false, false]);
      await wire.leave();

      const again = await raw();
      const connack = await again.connect({ clientId, clean: false, properties });
      assert.equal(connack.sessionPresent, true);
      const resent = [await again.next('publish'), await again.next('publish')];
      assert.deepEqual(
        resent.map(({ topic, payload, qos, dup, messageId }) => [topic, String(payload), qos, dup, messageId]),
        sent.map(({ topic, payload, qos, messageId }) => [topic, String(payload), qos, true, messageId]),
      );
      again.acknowledge(resent[0]);
      again.send({ cmd: 'pubrec', messageId: resent[1].messageId, reasonCode: 0 });
      assert.equal((await again.next('pubrel')).messageId, resent[1].messageId);
      await again.leave();

      // The second half of a QoS 2 exchange is repeated as well, and then nothing is left.
      const third = await raw();
      await third.connect({ clientId, clean: false, properties });
      assert.equal((await third.next('pubrel')).messageId, resent[1].messageId);
      third.send({ cmd: 'pubcomp', messageId: resent[1].messageId, reasonCode: 0 });
      await third.leave();
      const fourth = await raw();
      await fourth.connect({ clientId, clean: false, properties });
      await other.publish(`${base}/0`, 'nothing before this', { qos: 1 });
      assert.equal(String((await fourth.next('publish')).payload), 'nothing before this');
      await fourth.leave({ ...(version === 5 ? { properties: { sessionExpiryInterval: 0 } } : {}) });
      await other.leave();
    });

    test('subscribe failure: a filter that is not allowed is refused, others in the packet are not', async () => {
      const wire = await raw();
      // Another broker's list of what may be subscribed to holds for everyone.
      await wire.connect(server.other ? {} : { username: 'visitor', password: Buffer.from('open sesame') });
      const codes = await wire.subscribe(['test/nosubscribe', 'test/other']);
      assert.ok([0x80, 0x87].includes(codes[0]), `${codes[0]}`);
      if (version === 4) assert.equal(codes[0], 0x80);
      assert.equal(codes[1], 2);
      await wire.leave();
    });

    test('$ topics: a filter that begins with a wildcard does not match them', async () => {
      const name = unique('dollar');
      const peer = await enter();
      await peer.subscribe(['#', '+/+']);
      await peer.publish(`$odd/${name}`, 'hidden', { qos: 1 });
      await peer.publish(`odd/${name}`, name, { qos: 1 });
      assert.ok(!(await peer.until(name)).includes('hidden'));
      await peer.leave();
    });

    test('$ topics: a filter that begins with the same $ level matches them', async () => {
      const name = unique('dollar');
      const peer = await enter();
      await peer.subscribe(`$odd/${name}/#`);
      await peer.publish(`$odd/${name}/x`, 'shown', { qos: 1 });
      assert.equal((await peer.next()).payload, 'shown');
      await peer.leave();
    });

    test('unsubscribe: nothing more comes of that filter, and the others stay', async () => {
      const base = unique('unsubscribe');
      const subscriber = await enter();
      for (const name of ['a', 'b', 'c']) await subscriber.subscribe(`${base}/${name}`);
      await subscriber.client.unsubscribeAsync(`${base}/a`);
      const publisher = await enter();
      for (const name of ['a', 'b', 'c']) await publisher.publish(`${base}/${name}`, name, { qos: 1 });
      assert.deepEqual([(await subscriber.next()).payload, (await subscriber.next()).payload], ['b', 'c']);
      assert.equal(subscriber.messages.items.length, 0);
      await Promise.all([subscriber.leave(), publisher.leave()]);
    });
  });

  describe(`sessions of MQTT ${version === 4 ? '3.1.1' : 5}`, { concurrency: 4 }, () => {
    test('a client id is one client: the older connection is closed, and its will is sent', async () => {
      const topic = unique('takeover');
      const clientId = unique('twin');
      const watcher = await enter();
      await watcher.subscribe(topic);
      const elder = await raw();
      await elder.connect({ clientId, will: { topic, payload: 'taken over', qos: 0, retain: false } });
      const younger = await enter({ clientId });
      const reason = await elder.end();
      if (version === 5) assert.equal(reason, 0x8e);
      assert.equal((await watcher.next()).payload, 'taken over');
      await younger.publish(topic, 'alive', { qos: 1 });
      assert.equal((await watcher.next()).payload, 'alive');
      await Promise.all([watcher.leave(), younger.leave()]);
    });

    test('a takeover of a session that lasts keeps its subscriptions', async () => {
      const topic = unique('takeover');
      const clientId = unique('twin');
      const elder = await enter(lasting({ clientId }));
      await elder.subscribe(topic);
      const younger = await enter(lasting({ clientId }));
      await elder.end();
      assert.equal(younger.connack.sessionPresent, true);
      await younger.publish(topic, 'still subscribed', { qos: 1 });
      assert.equal((await younger.next()).payload, 'still subscribed');
      await younger.leave();
    });

    test('a clean start ends the session there was', async () => {
      const topic = unique('clean');
      const clientId = unique('fresh');
      const first = await enter(lasting({ clientId }));
      await first.subscribe(topic);
      await first.leave();
      await (await enter({ clientId, clean: true })).leave();
      const again = await enter(lasting({ clientId }));
      assert.equal(again.connack.sessionPresent, false);
      await again.publish(topic, 'nobody hears', { qos: 1 });
      await again.subscribe(topic);
      await again.publish(topic, 'last', { qos: 1 });
      assert.deepEqual(await again.until('last'), []);
      await again.leave();
    });

    test('a PUBLISH of QoS 2 that is repeated is delivered once', async () => {
      const topic = unique('once');
      const watcher = await enter();
      await watcher.subscribe(topic);
      const wire = await raw();
      await wire.connect();
      const message = { qos: 2, messageId: 7 };
      wire.publish(topic, 'once', message);
      await wire.next('pubrec');
      wire.publish(topic, 'once', { ...message, dup: true });
      await wire.next('pubrec');
      wire.send({ cmd: 'pubrel', messageId: 7, reasonCode: 0 });
      await wire.next('pubcomp');
      wire.publish(topic, 'last', { qos: 2, messageId: 8 });
      await wire.next('pubrec');
      wire.send({ cmd: 'pubrel', messageId: 8, reasonCode: 0 });
      assert.deepEqual(await watcher.until('last'), ['once']);
      await Promise.all([watcher.leave(), wire.leave()]);
    });

    test('messages of one topic arrive in their order, whatever the QoS', async () => {
      const topic = unique('order');
      const subscriber = await enter();
      await subscriber.subscribe(topic, { qos: 1 });
      const publisher = await enter();
      const count = 300;
      const all = Array.from({ length: count }, (_, index) => publisher.publish(topic, `${index}`, { qos: 1 }));
      for (let index = 0; index < count; index += 1) assert.equal((await subscriber.next()).payload, `${index}`);
      await Promise.all(all);
      await Promise.all([subscriber.leave(), publisher.leave()]);
    });

    test('a subscription with a lower QoS lowers that of its messages', async () => {
      const base = unique('lower');
      const peer = await enter();
      assert.deepEqual(await peer.subscribe({ [`${base}/0`]: { qos: 0 }, [`${base}/1`]: { qos: 1 } }), [0, 1]);
      for (const qos of [0, 1]) await peer.publish(`${base}/${qos}`, 'x', { qos: 2 });
      const found = [await peer.next(), await peer.next()].map(({ topic, qos }) => [topic, qos]);
      assert.deepEqual(found.sort(), [[`${base}/0`, 0], [`${base}/1`, 1]]);
      await peer.leave();
    });

    test('`sport/#` matches `sport` itself', async () => {
      const base = unique('sport');
      const peer = await enter();
      await peer.subscribe(`${base}/#`);
      await peer.publish(base, 'parent', { qos: 1 });
      assert.equal((await peer.next()).topic, base);
      await peer.leave();
    });

    test('empty levels are levels', async () => {
      const base = unique('empty');
      const peer = await enter();
      await peer.subscribe(`/${base}/+/x`);
      await peer.publish(`${base}//x`, 'another', { qos: 1 });
      await peer.publish(`/${base}//x`, 'empty', { qos: 1 });
      assert.equal((await peer.next()).payload, 'empty');
      await peer.leave();
    });

    test('a client that leaves nothing behind is forgotten', async () => {
      const topic = unique('forgotten');
      const clientId = unique('guest');
      const guest = await enter({ clientId, clean: true });
      await guest.subscribe(topic);
      await guest.drop();
      await eventually(async () => {
        const again = await enter(lasting({ clientId }));
        const { sessionPresent } = again.connack;
        await again.leave(version === 5 ? { properties: { sessionExpiryInterval: 0 } } : undefined);
        return sessionPresent === false;
      }, 'the session is gone');
    });
  });
}
