// npm's `ws`, with a queue of what arrived and waits that are bounded.

import { WebSocket } from 'ws';

import { Feed, within } from './patience.mjs';

/** Opens a connection; fails with the refusal where the server refuses it. */
export async function connect(url, options = {}) {
  const client = new Client(url, options);
  await client.opened;
  return client;
}

/** Tries to connect and resolves with the refusal: status, headers and body. */
export async function refused(url, options = {}) {
  const client = new Client(url, options);
  try {
    await client.opened;
  } catch (error) {
    if (error.refusal) return error.refusal;
    throw error;
  }
  client.socket.terminate();
  throw new Error(`accepted, but a refusal was expected: ${url}`);
}

/** One WebSocket connection. */
export class Client {
  #frames = new Feed();

  constructor(url, { protocols = [], ...options } = {}) {
    this.socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.#frames.end(`the connection closed with ${code} ${reason}`);
        resolve({ code, reason: reason.toString() });
      });
    });
    const opened = new Promise((resolve, reject) => {
      this.socket.on('open', resolve);
      this.socket.on('error', reject);
      this.socket.on('unexpected-response', (request, response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('close', () => {
          const refusal = {
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          };
          const error = new Error(`refused with ${refusal.status}: ${refusal.body}`);
          reject(Object.assign(error, { refusal }));
          request.destroy();
        });
      });
    });
    this.socket.on('message', (data, isBinary) => {
      this.#frames.push(isBinary ? data : data.toString());
    });
    this.opened = within(opened, `a handshake with ${url} ends`);
    // Whoever made this client awaits `opened`; a refusal after that is no crash.
    this.opened.catch(() => {});
  }

  /** Sends text as it is, anything else as JSON. */
  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    return this;
  }

  /** The next message, as text. */
  next(what = 'the next message') {
    return this.#frames.take(what);
  }

  /** The next message, parsed. */
  async json(what) {
    return JSON.parse(await this.next(what));
  }

  /** Sends a message and resolves with the next one that arrives. */
  ask(message) {
    this.send(message);
    return this.next(`an answer to ${JSON.stringify(message).slice(0, 120)}`);
  }

  /** How many messages wait to be taken. */
  get pending() {
    return this.#frames.items.length;
  }

  /** Closes from this side and resolves with the close that came back. */
  close(code, reason) {
    this.socket.close(code, reason);
    return this.end();
  }

  /** How the connection ended, or will have ended within the usual patience. */
  end() {
    return within(this.closed, 'the connection closes');
  }
}
