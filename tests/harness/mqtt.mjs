// MQTT clients: mqtt.js with feeds of what comes, and packets by hand over any
// byte stream for what that library would never send, or hides.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { Duplex } from 'node:stream';

import mqtt from 'mqtt';
import { generate, parser } from 'mqtt-packet';
import { WebSocket } from 'ws';

import { app, start } from './fanwire.mjs';
import { Feed, within } from './patience.mjs';

/** A word that no other test of any run uses, for topics and client ids. */
export const unique = (what = 'x') => `${what}-${randomUUID().slice(0, 8)}`;

/**
 * The broker under test: Fanwire with the app called `name`. What is the protocol's alone can be run against
 * another: MQTT_BROKER=PORTS of this machine for TCP, WebSockets, TLS and WebSockets over TLS, with commas, and
 * MQTT_BROKER_CA=FILE.
 */
export async function broker(name = 'realtime', options = {}) {
  const other = process.env.MQTT_BROKER?.split(',');
  if (other) {
    const ca = process.env.MQTT_BROKER_CA && await readFile(process.env.MQTT_BROKER_CA);
    return { ...addresses(...other), ca, other: true, stop: leaveAll, stderr: '' };
  }
  const server = await start(app(name), options);
  const { port } = server;
  const ca = await readFile(server.ready.certificateAuthority);
  return Object.assign(server, addresses(port), { ca });
}

/** Where a broker is, on one port or on several. */
export const addresses = (tcp, websocket = tcp, tls = tcp, secureWebsocket = tcp) => ({
  tcpPort: Number(tcp),
  wssPort: Number(secureWebsocket),
  tcp: `mqtt://127.0.0.1:${tcp}`,
  ws: `ws://127.0.0.1:${websocket}/mqtt`,
  tls: `mqtts://localhost:${tls}`,
  wss: `wss://localhost:${secureWebsocket}/mqtt`,
});

/** What failed tests left at a broker that is not theirs to stop. */
const peers = new Set();
async function leaveAll() {
  for (const { client } of peers) client.end(true);
  return { code: 0 };
}

/** Connects mqtt.js, which then neither comes back nor subscribes again by itself. */
export async function join(url, options = {}) {
  const peer = new Peer(url, options);
  await peer.connected;
  return peer;
}

/** Tries to connect and resolves with the reason that the server gave in CONNACK. */
export async function turnedAway(url, options = {}) {
  const peer = new Peer(url, options);
  try {
    await peer.connected;
  } catch (error) {
    if (error.code !== undefined && typeof error.code === 'number') return error.code;
    throw error;
  } finally {
    peer.client.end(true);
  }
  throw new Error(`let in, but a refusal was expected: ${url}`);
}

/** mqtt.js. */
export class Peer {
  /** Every message, as the PUBLISH it came in. */
  messages = new Feed();
  /** Every packet that came. */
  packets = new Feed();

  constructor(url, options = {}) {
    this.client = mqtt.connect(url, {
      protocolVersion: 5,
      clientId: unique('client'),
      reconnectPeriod: 0,
      resubscribe: false,
      connectTimeout: 15_000,
      ...options,
    });
    peers.add(this);
    this.client.on('packetreceive', (packet) => this.packets.push(packet));
    this.client.on('message', (topic, payload, packet) => this.messages.push({ ...packet, topic, payload: String(payload) }));
    const connected = new Promise((resolve, reject) => {
      this.client.once('connect', (connack) => {
        this.connack = connack;
        // One that a failed test left open does not hold the tests.
        this.client.stream.unref?.();
        resolve(connack);
      });
      this.client.on('error', reject);
      this.client.on('close', () => reject(new Error('the connection closed before CONNACK')));
    });
    this.closed = new Promise((resolve) => {
      this.client.on('close', () => {
        peers.delete(this);
        this.messages.end('the connection closed');
        this.packets.end('the connection closed');
        resolve();
      });
    });
    this.connected = within(connected, `a CONNACK from ${url}`);
    // Whoever made this client awaits `connected`; an error after that shows as a close.
    this.connected.catch(() => {});
  }

  get id() {
    return this.client.options.clientId;
  }

  /** Subscribes and resolves with the codes of SUBACK, which may be refusals. */
  async subscribe(filters, options = { qos: 2 }) {
    await this.client.subscribeAsync(filters, options).catch((error) => {
      if (!this.client.connected) throw error;
    });
    return this.packets.items.findLast(({ cmd }) => cmd === 'suback').granted;
  }

  publish(topic, payload, options = {}) {
    return this.client.publishAsync(topic, payload, { qos: 0, ...options });
  }

  /** The next message. */
  next(what = 'the next message') {
    return this.messages.take(what);
  }

  /** The payloads of the messages that come before `last` does. */
  async until(last, what = `the message ${last}`) {
    const payloads = [];
    for (;;) {
      const { payload } = await this.next(what);
      if (payload === last) return payloads;
      payloads.push(payload);
    }
  }

  /** Says DISCONNECT and leaves. */
  async leave(options) {
    await within(this.client.endAsync(false, options), 'mqtt.js ends');
  }

  /** Leaves without a word. */
  drop() {
    this.client.stream.destroy();
    return this.end();
  }

  /** Resolves when the connection is over. */
  end() {
    return within(this.closed, 'the connection closes');
  }
}

/** A connection that a test writes packets or bytes to. */
export class Wire {
  packets = new Feed();

  /** Over TCP. */
  static async tcp(port, version = 5) {
    const socket = net.connect({ host: '127.0.0.1', port });
    await within(new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject)), `a TCP connection to port ${port}`);
    return new Wire(socket, version);
  }

  /** In a WebSocket, whose frames `cut` makes of the bytes: an array of buffers. */
  static async websocket(url, { version = 5, protocol = 'mqtt', cut = (bytes) => [bytes], ...options } = {}) {
    const socket = new WebSocket(url, protocol, { perMessageDeflate: false, ...options });
    await within(new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject)), `a WebSocket to ${url}`);
    const stream = new Duplex({
      read() {},
      write(bytes, _, done) {
        for (const frame of cut(bytes)) socket.send(frame);
        done();
      },
      final(done) {
        socket.close();
        done();
      },
      destroy(error, done) {
        socket.terminate();
        done(error);
      },
    });
    socket.on('message', (data, isBinary) => (isBinary ? stream.push(data) : stream.destroy(new Error('a text frame'))));
    const wire = new Wire(stream, version);
    wire.websocketClosed = new Promise((resolve) => {
      socket.on('close', (code) => {
        resolve(code);
        stream.destroy();
      });
    });
    wire.socket = socket;
    socket._socket.unref();
    return wire;
  }

  constructor(stream, version) {
    this.stream = stream;
    this.version = version;
    const incoming = parser({ protocolVersion: version });
    incoming.on('packet', (packet) => this.packets.push({ ...packet }));
    incoming.on('error', (error) => this.packets.push({ cmd: 'unreadable', error: error.message }));
    stream.on('data', (bytes) => incoming.parse(bytes));
    // One that a failed test left open does not hold the tests.
    stream.unref?.();
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => {
      const over = () => {
        this.packets.end('the server closed the connection');
        resolve();
      };
      stream.on('end', over).on('close', over);
    });
  }

  /** Sends a packet as mqtt-packet writes it. */
  send(packet) {
    return this.write(generate(packet, { protocolVersion: this.version }));
  }

  /** Sends bytes as they are. */
  write(bytes) {
    if (!this.stream.destroyed) this.stream.write(Buffer.from(bytes));
    return this;
  }

  /** Sends CONNECT and resolves with CONNACK. */
  connect(options = {}) {
    this.send(connectPacket(this.version, options));
    return this.next('connack');
  }

  /** Takes the oldest packet of the kind `cmd`; those of other kinds stay. */
  async next(cmd, what = `a ${cmd} packet`) {
    const { items } = this.packets;
    const packet = await this.packets.find((each) => each.cmd === cmd, what);
    items.splice(items.indexOf(packet), 1);
    return packet;
  }

  /** Sends SUBSCRIBE and resolves with the codes of SUBACK. */
  async subscribe(topics, { messageId = 1, properties } = {}) {
    const subscriptions = [topics].flat().map((each) => ({ qos: 2, nl: false, rap: false, rh: 0, ...(each.topic ? each : { topic: each }) }));
    this.send({ cmd: 'subscribe', messageId, subscriptions, properties });
    return (await this.next('suback')).granted;
  }

  publish(topic, payload, options = {}) {
    return this.send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false, ...options });
  }

  /** Acknowledges a PUBLISH of QoS 1. */
  acknowledge({ messageId }) {
    return this.send({ cmd: 'puback', messageId, reasonCode: 0 });
  }

  /** Says DISCONNECT and leaves. */
  async leave(options = {}) {
    this.send({ cmd: 'disconnect', reasonCode: 0, ...options });
    this.stream.end();
    await this.end();
  }

  /** Leaves without a word. */
  drop() {
    this.stream.destroy();
  }

  /** Resolves when the server has ended the connection: with the reason of its DISCONNECT, or nothing. */
  async end() {
    await within(this.closed, 'the server closes the connection');
    return this.packets.items.find(({ cmd }) => cmd === 'disconnect')?.reasonCode;
  }
}

/** A CONNECT of a client id of its own. */
export function connectPacket(version, options = {}) {
  return {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clean: true,
    clientId: unique('client'),
    keepalive: 60,
    ...options,
  };
}
