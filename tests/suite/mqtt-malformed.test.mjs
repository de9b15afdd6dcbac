// Bytes that are no MQTT. After each the server answers others as before, and nothing panics.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { generate } from 'mqtt-packet';

import { Wire, broker, connectPacket, join, unique } from '../harness/mqtt.mjs';
import { within } from '../harness/patience.mjs';

let server;
let bystander;
before(async () => {
  server = await broker();
  bystander = await join(server.tcp);
  await bystander.subscribe('bystander', { qos: 1 });
});
after(async () => {
  await bystander.leave();
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

/** The server still does its work, for one who was there before. */
async function assertAlive() {
  const word = unique('alive');
  await bystander.publish('bystander', word, { qos: 1 });
  await bystander.messages.find(({ payload }) => payload === word, 'a message to a bystander');
}

const text = (value) => [value.length >> 8, value.length & 0xff, ...Buffer.from(value)];
/** A packet with its length before it. */
const packet = (first, ...body) => {
  const bytes = body.flat();
  const length = [];
  let rest = bytes.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return [first, ...length, ...bytes];
};

const mqtt = (level, flags, ...rest) => packet(0x10, text('MQTT'), level, flags, 0, 60, ...rest);

describe('a first packet', { concurrency: 8 }, () => {
  for (const [what, bytes] of [
    ['that is PUBLISH', packet(0x30, text('a'), 1)],
    ['that is PINGREQ', [0xc0, 0]],
    ['that is of the reserved type 0', [0x00, 0]],
    ['with flags in its first byte', [0x1f, ...mqtt(4, 2, text('x')).slice(1)]],
    ['with the length in five bytes', [0x10, 0x80, 0x80, 0x80, 0x80, 0x01]],
    ['of 256 MB', [0x10, 0xff, 0xff, 0xff, 0x7f]],
    ['of a protocol level that there is not', mqtt(6, 2, 0, text('x'))],
    ['of the level 0', mqtt(0, 2, text('x'))],
    ['with the reserved flag', mqtt(4, 3, text('x'))],
    ['with a QoS of 3 for the will', mqtt(4, 0x1e, text('x'), text('will'), text(''))],
    ['with a QoS for no will', mqtt(4, 0x0a, text('x'))],
    ['with RETAIN for no will', mqtt(4, 0x22, text('x'))],
    ['with a password and no user name, 3.1.1', mqtt(4, 0x42, text('x'), text('secret'))],
    ['with a client id that ends too early', mqtt(4, 2, 0, 9, Buffer.from('short').toJSON().data)],
    ['with a client id that is no UTF-8', mqtt(4, 2, 0, 2, 0xff, 0xfe)],
    ['with a client id that holds U+0000', mqtt(4, 2, text('a\0b'))],
    ['with a surrogate in the client id', mqtt(4, 2, 0, 3, 0xed, 0xa0, 0x80)],
    ['with something after its end', mqtt(4, 2, text('x'), 1, 2, 3)],
    ['with a will topic that has a wildcard', mqtt(4, 6, text('x'), text('a/+'), text('w'))],
    ['with an unknown property', mqtt(5, 2, 2, 0x7f, 0, text('x'))],
    ['with a property twice', mqtt(5, 2, 10, 0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1, text('x'))],
    ['with a property of other packets', mqtt(5, 2, 3, 0x23, 0, 1, text('x'))],
    ['with a Receive Maximum of 0', mqtt(5, 2, 3, 0x21, 0, 0, text('x'))],
    ['with a Maximum Packet Size of 0', mqtt(5, 2, 5, 0x27, 0, 0, 0, 0, text('x'))],
    ['with properties that end too early', mqtt(5, 2, 200, text('x'))],
  ]) {
    test(`${what} ends the connection, and no other`, async () => {
      const wire = await Wire.tcp(server.tcpPort, bytes.includes(5) ? 5 : 4);
      wire.write(bytes);
      await wire.end();
      const let_in = wire.packets.items.some(({ cmd, returnCode, reasonCode }) => cmd === 'connack' && (reasonCode ?? returnCode) === 0);
      assert.ok(!let_in, 'the client was let in');
      await assertAlive();
    });
  }
});

describe('a later packet', { concurrency: 8 }, () => {
  for (const [version, what, bytes, reasons] of [
    [4, 'of the reserved type 0', [0x00, 0]],
    [4, 'of the type 15', [0xf0, 0]],
    [4, 'that only servers send', [0x20, 2, 0, 0]],
    [4, 'PUBLISH with a QoS of 3', packet(0x36, text('a'), 0, 1)],
    [4, 'PUBLISH of QoS 1 with the id 0', packet(0x32, text('a'), 0, 0)],
    [4, 'PUBLISH with DUP and QoS 0', packet(0x38, text('a'), 1)],
    [4, 'PUBLISH with no topic', packet(0x30, text(''), 1)],
    [4, 'PUBLISH with a topic that is longer than the packet', packet(0x30, 0, 99, 1)],
    [4, 'PUBLISH with a NUL in its topic', packet(0x30, text('a\0b'), 1)],
    [4, 'PUBLISH with a wildcard in its topic', packet(0x30, text('a/#'), 1)],
    [4, 'SUBSCRIBE without the bit that it must have', packet(0x80, 0, 1, text('a'), 0)],
    [4, 'SUBSCRIBE with no filter', packet(0x82, 0, 1)],
    [4, 'SUBSCRIBE with the id 0', packet(0x82, 0, 0, text('a'), 0)],
    [4, 'SUBSCRIBE with an empty filter', packet(0x82, 0, 1, text(''), 0)],
    [4, 'SUBSCRIBE with a QoS of 3', packet(0x82, 0, 1, text('a'), 3)],
    [4, 'SUBSCRIBE with reserved bits', packet(0x82, 0, 1, text('a'), 0x80)],
    [4, 'SUBSCRIBE without a QoS', packet(0x82, 0, 1, text('a'))],
    [4, 'SUBSCRIBE with # in the middle', packet(0x82, 0, 1, text('a/#/b'), 0)],
    [4, 'SUBSCRIBE with + beside text', packet(0x82, 0, 1, text('a/b+'), 0)],
    [4, 'UNSUBSCRIBE with no filter', packet(0xa2, 0, 1)],
    [4, 'PUBREL without the bit that it must have', packet(0x60, 0, 1)],
    [4, 'PUBACK that is too long', packet(0x40, 0, 1, 0, 0)],
    [4, 'PINGREQ with a body', packet(0xc0, 0)],
    [5, 'PUBLISH with a property twice', packet(0x30, text('a'), 4, 0x01, 0, 0x01, 0), [0x82, 0x81]],
    [5, 'PUBLISH with a payload format of 2', packet(0x30, text('a'), 2, 0x01, 2), [0x82, 0x81]],
    [5, 'PUBLISH with a subscription identifier', packet(0x30, text('a'), 2, 0x0b, 1), [0x82, 0x81]],
    [5, 'PUBLISH with a wildcard in its response topic', packet(0x30, text('a'), 6, 0x08, text('a/+')), [0x82, 0x81, 0x90]],
    [5, 'PUBLISH with neither topic nor alias', packet(0x30, text(''), 0), [0x82, 0x81, 0x90]],
    [5, 'PUBLISH with properties longer than the packet', packet(0x30, text('a'), 99), [0x81]],
    [5, 'SUBSCRIBE with an identifier of 0', packet(0x82, 0, 1, 2, 0x0b, 0, text('a'), 0), [0x82, 0x81]],
    [5, 'SUBSCRIBE with a Retain Handling of 3', packet(0x82, 0, 1, 0, text('a'), 0x30), [0x82, 0x81]],
    [5, 'SUBSCRIBE of a share without a name', packet(0x82, 0, 1, 0, text('$share//a'), 0), [0x82, 0x81, 0x8f]],
    [5, 'DISCONNECT with a property of others', packet(0xe0, 0, 3, 0x23, 0, 1), [0x82, 0x81]],
    [5, 'PUBACK with an unknown reason', packet(0x40, 0, 1, 0x55), [0x82, 0x81]],
  ]) {
    test(`${what} ends the connection, and no other, MQTT ${version}`, async () => {
      const wire = await Wire.tcp(server.tcpPort, version);
      await wire.connect();
      wire.write(bytes);
      const reason = await wire.end();
      if (version === 5 && reason !== undefined) assert.ok(reasons.includes(reason), `0x${reason.toString(16)}`);
      await assertAlive();
    });
  }

  test('PUBACK, PUBREC, PUBREL and PUBCOMP of an id that nobody has in flight hurt nobody', async () => {
    for (const version of [4, 5]) {
      const wire = await Wire.tcp(server.tcpPort, version);
      await wire.connect();
      for (const first of [0x40, 0x50, 0x70]) wire.write(packet(first, 0, 77));
      wire.write(packet(0x62, 0, 77));
      wire.write([0xc0, 0]);
      // A server may end such a connection, or go on.
      await within(Promise.race([wire.next('pingresp').catch(() => {}), wire.closed]), 'an answer, or the end');
      wire.drop();
    }
    await assertAlive();
  });
});

test('packets with any byte changed, cut or added hurt nobody else', async () => {
  // Always the same changes: a linear congruence in place of chance.
  let state = 42;
  const below = (bound) => {
    state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return state % bound;
  };
  for (let round = 0; round < 300; round += 1) {
    const version = [3, 4, 5][round % 3];
    const of = (each) => generate(each, { protocolVersion: version });
    const bytes = [...Buffer.concat([
      of(connectPacket(version, { will: { topic: 'w', payload: 'x', qos: 1, retain: false } })),
      of({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: `mutated/${round}`, qos: 1, nl: false, rap: false, rh: 0 }] }),
      of({ cmd: 'publish', topic: `mutated/${round}`, payload: 'p', qos: 2, messageId: 3, dup: false, retain: false }),
      of({ cmd: 'pubrel', messageId: 3 }),
      of({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: [`mutated/${round}`] }),
    ])];
    for (let change = 0; change <= below(3); change += 1) {
      const at = below(bytes.length);
      if (below(3) === 0) bytes.splice(at, 1 + below(4));
      else if (below(2) === 0) bytes.splice(at, 0, below(256));
      else bytes[at] = below(256);
    }
    const wire = await Wire.tcp(server.tcpPort, version);
    wire.write(bytes);
    wire.stream.end();
    await wire.end();
    wire.drop();
  }
  await assertAlive();
});

test('a connection that says nothing is given up, and others are served meanwhile', async (t) => {
  if (server.other) return t.skip('a matter of taste');
  const silent = await Promise.all(Array.from({ length: 50 }, () => Wire.tcp(server.tcpPort, 5)));
  // Each stops at another byte of CONNECT, from none to all but the last one.
  const whole = generate(connectPacket(5, { clientId: 'never' }), { protocolVersion: 5 });
  for (const [index, wire] of silent.entries()) wire.write(whole.subarray(0, index % whole.length));
  await assertAlive();
  await within(Promise.all(silent.map(({ closed }) => closed)), 'the server gives the silent connections up', 60_000);
});
