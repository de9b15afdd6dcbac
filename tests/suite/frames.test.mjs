// RFC 6455 to the letter, and API Gateway's limits, over plain TCP.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { OPCODE, frame, upgraded } from '../harness/raw.mjs';

const KB = 1024;
const { text, binary, continuation, close, ping, pong } = OPCODE;

let server;
before(async () => {
  server = await start(app('contract'));
});
after(() => server.stop());

const closePayload = (code, reason = '') => Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);

/** Frames that break the protocol or a limit, and the code that the server closes with. */
const FAULTS = [
  ['an unmasked frame', [frame(text, 'x', { masked: false })], 1002],
  ['the first reserved bit', [frame(text, 'x', { reserved: 4 })], 1002],
  ['the second reserved bit', [frame(text, 'x', { reserved: 2 })], 1002],
  ['the third reserved bit', [frame(text, 'x', { reserved: 1 })], 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`the unknown opcode ${opcode}`, [frame(opcode, 'x')], 1002]),
  ['a ping in fragments', [frame(ping, 'x', { fin: false })], 1002],
  ['a ping of 126 bytes', [frame(ping, 'x'.repeat(126))], 1002],
  ['a close in fragments', [frame(close, '', { fin: false })], 1002],
  ['a continuation of nothing', [frame(continuation, 'x')], 1002],
  ['a new message inside fragments', [frame(text, 'x', { fin: false }), frame(text, 'y')], 1002],
  ['a close of one byte', [frame(close, 'x')], 1002],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535].map(
    (code) => [`the close code ${code}`, [frame(close, closePayload(code))], 1002],
  ),
  ['a close reason that is not UTF-8', [frame(close, Buffer.concat([closePayload(1000), Buffer.from([0xff])]))], 1007],
  ['text that is not UTF-8', [frame(text, Buffer.from([0xc3, 0x28]))], 1007],
  ['text that ends inside a character', [frame(text, Buffer.from([0xe2, 0x82]))], 1007],
  ['a surrogate in UTF-8', [frame(text, Buffer.from([0xed, 0xa0, 0x80]))], 1007],
  ['a wrong byte in the first fragment', [frame(text, Buffer.from([0xce, 0xba, 0xff]), { fin: false })], 1007],
  ['a binary message', [frame(binary, 'x')], 1003],
  ['an empty binary message', [frame(binary, '')], 1003],
  ['a binary message in fragments', [frame(binary, 'x', { fin: false })], 1003],
  ['a frame of 33 KB', [frame(text, 'x'.repeat(33 * KB))], 1009],
  ['a frame of 32 KB and one byte', [frame(text, 'x'.repeat(32 * KB + 1))], 1009],
  ['a frame that only claims 4 GB', [frame(text, '', { claim: 2 ** 32 })], 1009],
  ['a message of 129 KB', [
    frame(text, 'x'.repeat(32 * KB), { fin: false }),
    ...Array.from({ length: 3 }, () => frame(continuation, 'x'.repeat(32 * KB), { fin: false })),
    frame(continuation, 'x'.repeat(KB)),
  ], 1009],
];

describe('the connection is closed with', { concurrency: 8 }, () => {
  for (const [what, frames, code] of FAULTS) {
    test(`${code} by ${what}`, async () => {
      const tcp = await upgraded(server);
      for (const each of frames) tcp.write(each);
      assert.equal(await tcp.closeCode(), code);
      await tcp.ended;
      tcp.destroy();
    });
  }

  for (const [what, payload, code] of [
    ['no code', '', 1005],
    ['1000', closePayload(1000), 1000],
    ['1001 and a reason', closePayload(1001, 'away'), 1001],
    ['3000', closePayload(3000), 3000],
    ['4999 and 123 bytes of reason', closePayload(4999, 'r'.repeat(123)), 4999],
  ]) {
    test(`the client's own code, by a close with ${what}`, async () => {
      const tcp = await upgraded(server);
      tcp.write(frame(close, payload));
      assert.equal(await tcp.closeCode(), code);
      await tcp.ended;
      tcp.destroy();
    });
  }
});

describe('within the limits', { concurrency: 4 }, () => {
  for (const [what, frames, length] of [
    ['one frame of 32 KB', [frame(text, 'x'.repeat(32 * KB))], 32 * KB],
    ['100 KB in 4 frames', [
      frame(text, 'x'.repeat(25 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(25 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(25 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(25 * KB)),
    ], 100 * KB],
    ['128 KB in 4 frames', [
      frame(text, 'x'.repeat(32 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(32 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(32 * KB), { fin: false }),
      frame(continuation, 'x'.repeat(32 * KB)),
    ], 128 * KB],
    ['empty fragments', [
      frame(text, '', { fin: false }), frame(continuation, 'x', { fin: false }), frame(continuation, ''),
    ], 1],
  ]) {
    test(`${what} arrive as one message`, async () => {
      const tcp = await upgraded(server);
      for (const each of frames) tcp.write(each);
      let answer = Buffer.alloc(0);
      for (;;) {
        const { payload, fin, masked } = await tcp.frame();
        assert.equal(masked, false);
        answer = Buffer.concat([answer, payload]);
        if (fin) break;
      }
      assert.equal(JSON.parse(answer).body, 'x'.repeat(length));
      tcp.destroy();
    });
  }

  test('a message that comes byte by byte arrives', async () => {
    const tcp = await upgraded(server);
    tcp.socket.setNoDelay(true);
    for (const byte of frame(text, 'byte by byte')) {
      await new Promise((resolve) => tcp.socket.write(Buffer.from([byte]), resolve));
    }
    assert.equal(JSON.parse((await tcp.frame()).payload).body, 'byte by byte');
    tcp.destroy();
  });

  test('a character may be split between fragments', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(text, Buffer.from([0xe2, 0x82]), { fin: false }));
    tcp.write(frame(continuation, Buffer.from([0xac])));
    assert.equal(JSON.parse((await tcp.frame()).payload).body, '€');
    tcp.destroy();
  });

  test('a ping is answered with its payload, and a pong with nothing', async () => {
    const tcp = await upgraded(server);
    tcp.write(frame(pong, 'unasked'));
    tcp.write(frame(ping, 'p'.repeat(125)));
    const answer = await tcp.frame();
    assert.equal(answer.opcode, pong);
    assert.equal(answer.payload.toString(), 'p'.repeat(125));
    tcp.destroy();
  });

  test('nothing is read after a close', async () => {
    const tcp = await upgraded(server);
    tcp.write(Buffer.concat([frame(close, closePayload(1000)), frame(text, 'after the end')]));
    assert.equal((await tcp.frame()).opcode, close);
    await tcp.ended;
    assert.equal(tcp.received.length, 0);
    tcp.destroy();
  });
});
