// Clients of every kind at work on a cluster, and the history of what they did and saw.

import mqtt from 'mqtt';
import { WebSocket } from 'ws';

import { eventually } from '../harness/patience.mjs';
import { judge } from './history.mjs';

const RECONNECT_MS = 200;

/** How many of each there are, and how fast publishers are. */
export const SIZES = { publishers: 6, perSecond: 40, subscribers: 12, members: 6, sockets: 30 };

/** Clients that come back wherever a node is left, for as long as the load lasts. */
export class Load {
  #stopping = false;
  #publishing = [];
  publishers = [];
  subscribers = [];
  sockets = [];
  /** How long clients were away, in milliseconds, by what they are. */
  absences = { mqtt: [], websocket: [] };

  constructor(cluster, history, sizes = SIZES) {
    Object.assign(this, { cluster, history, sizes });
  }

  async start() {
    const { publishers, subscribers, members, sockets } = this.sizes;
    for (let n = 0; n < subscribers; n += 1) this.subscribers.push(this.#subscriber(`sub-${n}`, n % 2 ? 'load/#' : `load/+/${n % 3}`, n));
    for (let n = 0; n < members; n += 1) this.subscribers.push(this.#subscriber(`member-${n}`, 'load/#', n, 'team'));
    await Promise.all(this.subscribers.map(({ subscribed }) => subscribed));
    for (let n = 0; n < sockets; n += 1) this.sockets.push(new Socket(this, n));
    for (let n = 0; n < publishers; n += 1) this.publishers.push(this.#publisher(`pub-${n}`, n));
  }

  /** MQTT clients keep their sessions, and try one node after another. */
  #connect(clientId, n) {
    const nodes = this.cluster.nodes.map(({ address }) => ({ ...address, protocol: 'mqtt' }));
    const servers = nodes.map((_, at) => nodes[(at + n) % nodes.length]);
    const client = mqtt.connect({
      servers, clientId, protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3600 },
      reconnectPeriod: RECONNECT_MS, connectTimeout: 5_000, resubscribe: false, keepalive: 3,
    });
    let away;
    // The event `connect` comes later: mqtt.js first sends again, one by one, what was not acknowledged.
    client.on('packetreceive', ({ cmd, reasonCode, sessionPresent }) => {
      if (cmd !== 'connack' || reasonCode !== 0) return;
      this.history.connected(clientId, client.options.host, { resumed: sessionPresent });
      if (away !== undefined) this.absences.mqtt.push(Date.now() - away);
      away = undefined;
    });
    client.on('close', () => {
      if (away === undefined) this.history.disconnected(clientId);
      away ??= Date.now();
    });
    client.on('error', () => {});
    return client;
  }

  #subscriber(clientId, filter, n, group) {
    const client = this.#connect(clientId, n);
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish') this.history.delivered(clientId, packet.topic, String(packet.payload), { dup: packet.dup });
    });
    const wanted = group ? `$share/${group}/${filter}` : filter;
    const subscribed = client.subscribeAsync(wanted, { qos: 1 }).then(() => this.history.subscribed(clientId, filter, group));
    return { client, clientId, subscribed };
  }

  #publisher(clientId, n) {
    const client = this.#connect(clientId, n);
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish') this.history.sent(clientId, packet.topic, String(packet.payload));
    });
    const publisher = { client, clientId, sequence: 0, waiting: 0 };
    this.#publishing.push(setInterval(() => {
      // A client that is cut off does not pile up more than it may.
      if (publisher.waiting > 500) return;
      publisher.sequence += 1;
      publisher.waiting += 1;
      const [topic, body] = [`load/${clientId}/${publisher.sequence % 3}`, `${clientId}-${publisher.sequence}`];
      client.publish(topic, body, { qos: 1 }, (error) => {
        publisher.waiting -= 1;
        if (!error) this.history.acknowledged(clientId, topic, body);
      });
    }, 1000 / this.sizes.perSecond));
    return publisher;
  }

  get isStopping() {
    return this.#stopping;
  }

  /** Resolves once every client is connected, wherever. */
  async settled(what) {
    const mqttClients = [...this.publishers, ...this.subscribers].map(({ client }) => client);
    await eventually(() => mqttClients.every(({ connected }) => connected), `every MQTT client is back after ${what}`, 60_000);
    await eventually(() => this.sockets.every(({ isOpen }) => isOpen), `every WebSocket is back after ${what}`, 60_000);
  }

  /** Publishes no more, lets what is on its way arrive, closes the WebSockets; the verdict. */
  async verdict() {
    this.#publishing.forEach(clearInterval);
    await eventually(() => this.publishers.every(({ waiting }) => waiting === 0), 'everything is acknowledged', 60_000);
    // What is lost never comes: then the checker says so.
    await eventually(() => judge(this.history).lost.length === 0, 'everything has arrived', 30_000).catch(() => {});
    this.#stopping = true;
    this.sockets.forEach((socket) => socket.close());
    const opened = () => this.history.entries.filter(({ kind }) => kind === 'opened').length;
    await eventually(() => new Set(this.cluster.endedConnections()).size >= opened(), 'every end is told', 30_000).catch(() => {});
    for (const connection of this.cluster.endedConnections()) this.history.ended(connection);
    return judge(this.history);
  }

  async stop() {
    this.#publishing.forEach(clearInterval);
    this.#stopping = true;
    this.sockets.forEach((socket) => socket.close());
    await Promise.all([...this.publishers, ...this.subscribers].map(({ client }) => client.endAsync(true)));
  }
}

/** A WebSocket that is opened again, at the next node, whenever it ends. */
class Socket {
  isOpen = false;

  constructor(load, n) {
    Object.assign(this, { load, n, tries: n });
    this.#open();
  }

  #open() {
    const { nodes } = this.load.cluster;
    const { host, port } = nodes[this.tries % nodes.length].address;
    this.tries += 1;
    this.socket = new WebSocket(`ws://${host}:${port}/dev`, { handshakeTimeout: 3_000 });
    const heartbeat = setInterval(() => this.isOpen && this.socket.send('still there?'), 1_000);
    let heard = Date.now();
    const watch = setInterval(() => Date.now() - heard > 5_000 && this.socket.terminate(), 500);
    this.socket.on('open', () => this.socket.send('who am I?'));
    this.socket.on('message', (data) => {
      heard = Date.now();
      if (this.isOpen) return;
      this.isOpen = true;
      this.load.history.opened(String(data));
      if (this.away !== undefined) this.load.absences.websocket.push(Date.now() - this.away);
      this.away = undefined;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      clearInterval(heartbeat);
      clearInterval(watch);
      this.isOpen = false;
      this.away ??= Date.now();
      if (!this.load.isStopping) setTimeout(() => this.load.isStopping || this.#open(), RECONNECT_MS);
    });
  }

  close() {
    this.socket.close();
  }
}

/** The value below which `share` of the numbers are. */
export function percentile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
