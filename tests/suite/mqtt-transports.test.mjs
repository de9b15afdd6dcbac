// The ways to the broker: TCP, TLS, WebSockets with and without TLS, all on one port, in whatever pieces.

import assert from 'node:assert/strict';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';

import { generate } from 'mqtt-packet';

import { Wire, broker, connectPacket, join, unique } from '../harness/mqtt.mjs';
import { within } from '../harness/patience.mjs';
import { OPCODE, Tcp, frame, handshake, upgraded } from '../harness/raw.mjs';
import { refused } from '../harness/websocket.mjs';

let server;
before(async () => {
  server = await broker();
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** A client of each kind says something and hears it. */
async function converse(peer) {
  const topic = unique('transport');
  assert.deepEqual(await peer.subscribe(topic, { qos: 1 }), [1]);
  const long = 'long '.repeat(20_000);
  await peer.publish(topic, 'short', { qos: 1 });
  await peer.publish(topic, long, { qos: 1 });
  assert.equal((await peer.next()).payload, 'short');
  assert.equal((await peer.next()).payload, long);
  await peer.leave();
}

describe('mqtt.js', { concurrency: 4 }, () => {
  for (const version of [3, 4, 5]) {
    const options = { protocolVersion: version, ...(version === 3 ? { protocolId: 'MQIsdp' } : {}) };
    const named = { 3: 'MQTT 3.1', 4: 'MQTT 3.1.1', 5: 'MQTT 5' }[version];

    test(`speaks ${named} over TCP`, async () => converse(await join(server.tcp, options)));

    test(`speaks ${named} in a WebSocket`, async () => converse(await join(server.ws, options)));

    test(`speaks ${named} over TLS`, async () => converse(await join(server.tls, { ...options, ca: server.ca })));

    test(`speaks ${named} in a WebSocket over TLS`, async () => {
      await converse(await join(server.wss, { ...options, wsOptions: { ca: server.ca } }));
    });
  }

  test('with the ALPN `mqtt` reaches the broker, as IoT Core has it on port 443', async (t) => {
    if (server.other) return t.skip('IoT Core\'s own');
    const socket = tls.connect({ host: '127.0.0.1', port: server.port, servername: 'localhost', ca: server.ca, ALPNProtocols: ['mqtt'] });
    await within(new Promise((resolve, reject) => socket.on('secureConnect', resolve).on('error', reject)), 'a TLS connection');
    assert.equal(socket.alpnProtocol, 'mqtt');
    const wire = new Wire(socket, 5);
    assert.equal((await wire.connect()).reasonCode, 0);
    await wire.leave();
  });

  test('clients of all transports are at one broker', async () => {
    const topic = unique('across');
    const over = await Promise.all([join(server.tcp), join(server.ws, { protocolVersion: 4 })]);
    for (const peer of over) await peer.subscribe(topic);
    for (const [index, peer] of over.entries()) {
      await peer.publish(topic, `from ${index}`, { qos: 1 });
      for (const each of over) assert.equal((await each.next()).payload, `from ${index}`);
    }
    for (const peer of over) await peer.leave();
  });
});

describe('packets in pieces', { concurrency: 4 }, () => {
  /** What a client says in one go: CONNECT, SUBSCRIBE, PUBLISH of QoS 0 and 1, PINGREQ. */
  function saying(topic, version) {
    const packet = (each) => generate(each, { protocolVersion: version });
    return Buffer.concat([
      packet(connectPacket(version)),
      packet({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1, nl: false, rap: false, rh: 0 }] }),
      packet({ cmd: 'publish', topic, payload: 'p'.repeat(300), qos: 0, dup: false, retain: false }),
      packet({ cmd: 'publish', topic, payload: 'q', qos: 1, messageId: 2, dup: false, retain: false }),
      packet({ cmd: 'pingreq' }),
    ]);
  }

  async function answered(wire) {
    for (const cmd of ['connack', 'suback', 'pingresp']) await wire.packets.find((each) => each.cmd === cmd, `a ${cmd}`);
    await wire.packets.count(({ cmd }) => cmd === 'publish', 2, 'both messages');
    await wire.packets.find(({ cmd }) => cmd === 'puback', 'a PUBACK');
    wire.drop();
  }

  const cuts = {
    'all in one frame': (bytes) => [bytes],
    'a frame for each byte': (bytes) => Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)),
    'the first byte in a frame of its own, as mqtt.js sends it': (bytes) => [bytes.subarray(0, 1), bytes.subarray(1)],
    'frames that end in the middle of packets': (bytes) => {
      const frames = [];
      for (let at = 0; at < bytes.length; at += 7) frames.push(bytes.subarray(at, at + 7));
      return frames;
    },
    'empty frames in between': (bytes) => [Buffer.alloc(0), bytes.subarray(0, 20), Buffer.alloc(0), bytes.subarray(20), Buffer.alloc(0)],
  };
  for (const version of [4, 5]) {
    for (const [what, cut] of Object.entries(cuts)) {
      test(`${what}, MQTT ${version}`, async () => {
        const wire = await Wire.websocket(server.ws, { version, cut });
        wire.write(saying(unique('pieces'), version));
        await answered(wire);
      });
    }

    test(`one byte at a time over TCP, MQTT ${version}`, async () => {
      const wire = await Wire.tcp(server.tcpPort, version);
      wire.stream.setNoDelay(true);
      for (const byte of saying(unique('pieces'), version)) wire.write([byte]);
      await answered(wire);
    });
  }

  test('fragments of one message, with a ping between them', async (t) => {
    if (server.other) return t.skip('Fanwire\'s own harness');
    const tcp = await upgraded(server, '/mqtt', { 'Sec-WebSocket-Protocol': 'mqtt' });
    const bytes = saying(unique('pieces'), 5);
    tcp.write(frame(OPCODE.binary, bytes.subarray(0, 5), { fin: false }));
    tcp.write(frame(OPCODE.ping, 'now'));
    tcp.write(frame(OPCODE.continuation, bytes.subarray(5, 9), { fin: false }));
    tcp.write(frame(OPCODE.continuation, bytes.subarray(9)));
    const opcodes = [];
    let found = Buffer.alloc(0);
    while (!found.includes(Buffer.from([0xd0, 0]))) {
      const { opcode, payload } = await tcp.frame();
      opcodes.push(opcode);
      if (opcode === OPCODE.binary) found = Buffer.concat([found, payload]);
    }
    assert.ok(opcodes.includes(OPCODE.pong));
    assert.equal(found[0], 0x20);
    tcp.destroy();
  });

  test('a text frame closes the WebSocket', async (t) => {
    if (server.other) return t.skip('Fanwire\'s own harness');
    const tcp = await upgraded(server, '/mqtt', { 'Sec-WebSocket-Protocol': 'mqtt' });
    tcp.write(frame(OPCODE.text, generate(connectPacket(5), { protocolVersion: 5 })));
    assert.ok([1003, 1002].includes(await tcp.closeCode()));
    tcp.destroy();
  });
});

describe('the upgrade', { concurrency: 4 }, () => {
  for (const protocol of ['mqtt', 'mqttv3.1']) {
    test(`answers the subprotocol ${protocol} with itself`, async () => {
      const wire = await Wire.websocket(server.ws, { version: 4, protocol });
      assert.equal(wire.socket.protocol, protocol);
      assert.equal((await wire.connect()).returnCode, 0);
      await wire.leave();
    });
  }

  test('takes the first subprotocol of several that it knows', async () => {
    const wire = await Wire.websocket(server.ws, { version: 5, protocol: ['chat', 'mqtt'] });
    assert.equal(wire.socket.protocol, 'mqtt');
    wire.drop();
  });

  test('is refused without a subprotocol of MQTT', async (t) => {
    if (server.other) return t.skip('a matter of taste');
    const refusal = await refused(server.ws, { protocols: ['chat'] });
    assert.ok([400, 426].includes(refusal.status), `${refusal.status}`);
  });

  test('is asked for where a plain request comes to the path', async (t) => {
    if (server.other) return t.skip('a matter of taste');
    assert.equal((await fetch(`http://${server.host}/mqtt`)).status, 426);
  });

  test('comes before CONNECT is looked at', async (t) => {
    if (server.other) return t.skip('Fanwire\'s own harness');
    const tcp = await Tcp.open(server.port);
    tcp.write(handshake(server.host, '/mqtt?x-amz-customauthorizer-name=nobody', { 'Sec-WebSocket-Protocol': 'mqtt' }));
    const { status, head } = await tcp.head();
    assert.equal(status, 101);
    assert.match(head, /sec-websocket-protocol: mqtt\r?$/im);
    tcp.destroy();
  });

  test('a DISCONNECT is followed by the end of the WebSocket', async () => {
    const wire = await Wire.websocket(server.ws, {});
    await wire.connect();
    wire.send({ cmd: 'disconnect', reasonCode: 0 });
    await within(wire.websocketClosed, 'the server closes the WebSocket');
  });
});
