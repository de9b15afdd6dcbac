// WebSocket bytes over a plain TCP socket, for what a well-behaved client
// library cannot send.

import { randomBytes } from 'node:crypto';
import net from 'node:net';

import { PATIENCE_MS, within } from './patience.mjs';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** A TCP connection to the server that collects what it receives. */
export class Tcp {
  received = Buffer.alloc(0);
  #changed = new Set();

  static async open(port) {
    const tcp = new Tcp();
    tcp.socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    tcp.socket.on('data', (chunk) => {
      tcp.received = Buffer.concat([tcp.received, chunk]);
      tcp.#notify();
    });
    tcp.ended = new Promise((resolve) => {
      const over = () => {
        tcp.over = true;
        tcp.#notify();
        resolve();
      };
      tcp.socket.on('end', over).on('close', over).on('error', over);
    });
    await within(
      new Promise((resolve, reject) => tcp.socket.on('connect', resolve).on('error', reject)),
      `a TCP connection to port ${port}`,
    );
    return tcp;
  }

  #notify() {
    for (const look of [...this.#changed]) look();
  }

  write(bytes) {
    if (!this.socket.destroyed) this.socket.write(bytes);
    return this;
  }

  /** Waits until `probe` finds something in the bytes received so far. */
  until(probe, what, ms = PATIENCE_MS) {
    let look;
    const found = new Promise((resolve, reject) => {
      look = () => {
        const value = probe(this.received);
        if (value === undefined && !this.over) return;
        // At once, not when the promise is looked at: a stream that resumes hands over several chunks in one go,
        // and a probe that takes what it finds would take a second frame that nobody gets.
        this.#changed.delete(look);
        if (value !== undefined) resolve(value);
        else reject(new Error(`${what}: the server ended the connection`));
      };
      this.#changed.add(look);
      look();
    });
    return within(found, what, ms).finally(() => this.#changed.delete(look));
  }

  /** The status line, headers and whatever body has come of the answer. */
  head() {
    return this.until((bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return undefined;
      this.received = bytes.subarray(end + 4);
      const head = bytes.subarray(0, end).toString('latin1');
      return { head, status: Number(head.split(' ')[1]) };
    }, 'an HTTP answer');
  }

  /** The next frame that the server sent. */
  frame() {
    return this.until((bytes) => {
      const frame = parse(bytes);
      if (!frame) return undefined;
      this.received = bytes.subarray(frame.length);
      return frame;
    }, 'a frame from the server');
  }

  /** The code of the Close frame that comes after any other frames. */
  async closeCode() {
    for (;;) {
      const frame = await this.frame();
      if (frame.opcode === OPCODE.close) {
        return frame.payload.length >= 2 ? frame.payload.readUInt16BE() : 1005;
      }
    }
  }

  destroy() {
    this.socket.destroy();
  }
}

/** The text of a handshake. A header of `undefined` leaves a usual one out. */
export function handshake(host, path, headers = {}) {
  const all = {
    Host: host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  };
  const lines = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [value].flat().map((each) => `${name}: ${each}\r\n`));
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** A TCP connection on which a handshake has succeeded. */
export async function upgraded(server, path = '/dev', headers = {}) {
  const tcp = await Tcp.open(server.port);
  tcp.write(handshake(server.host, path, headers));
  const { head, status } = await tcp.head();
  if (status !== 101) throw new Error(`the handshake failed: ${head}`);
  return tcp;
}

/** One frame as a client sends it; `claim` states a length other than the payload's. */
export function frame(opcode, payload = '', { fin = true, masked = true, reserved = 0, claim } = {}) {
  const body = Buffer.from(payload);
  const length = claim ?? body.length;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  let head;
  if (length < 126) {
    head = Buffer.from([first, mask | length]);
  } else if (length < 65_536) {
    head = Buffer.from([first, mask | 126, length >> 8, length & 0xff]);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = mask | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!masked) return Buffer.concat([head, body]);
  const key = randomBytes(4);
  const hidden = Buffer.from(body.map((byte, index) => byte ^ key[index % 4]));
  return Buffer.concat([head, key, hidden]);
}

/** The first whole frame in `bytes`, as a server sends it (never masked). */
function parse(bytes) {
  if (bytes.length < 2) return undefined;
  let size = bytes[1] & 0x7f;
  let start = 2;
  if (size === 126) {
    if (bytes.length < 4) return undefined;
    size = bytes.readUInt16BE(2);
    start = 4;
  } else if (size === 127) {
    if (bytes.length < 10) return undefined;
    size = Number(bytes.readBigUInt64BE(2));
    start = 10;
  }
  if (bytes.length < start + size) return undefined;
  return {
    fin: (bytes[0] & 0x80) !== 0,
    reserved: (bytes[0] >> 4) & 7,
    opcode: bytes[0] & 15,
    masked: (bytes[1] & 0x80) !== 0,
    payload: bytes.subarray(start, start + size),
    length: start + size,
  };
}
