// Unmodified clients of tRPC, old and new, and the server of procedures that they talk to.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import path from 'node:path';

import superjson from 'superjson';
import { WebSocket } from 'ws';

import { ROOT } from './fanwire.mjs';
import { Feed, within } from './patience.mjs';

/** The versions of `@trpc/client` that are tested, each with what it can do. */
export const VERSIONS = ['10.40', '10.45', '11.0', '11.18', '11.25'].map((version) => ({
  version,
  isEleven: version.startsWith('11'),
}));

/** The server under test: another one may be named, by its program. */
export const SERVER = process.env.TRPC_SERVER ?? path.join(ROOT, 'target/debug/examples/trpc');

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Starts the server; resolves once it listens. */
export async function serve(env = {}) {
  const child = spawn(SERVER, [], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const exited = new Promise((resolve) => child.on('close', (code, signal) => {
    running.delete(child);
    resolve({ code, signal });
  }));
  const lines = createInterface({ input: child.stdout });
  const url = await within(new Promise((resolve, reject) => {
    lines.once('line', resolve);
    exited.then(({ code, signal }) => reject(new Error(`the server ended with ${signal ?? code}`)));
  }), 'the server of procedures listens');
  return {
    url,
    port: new URL(url).port,
    /** Ends it as Ctrl-C does. */
    async stop() {
      child.kill('SIGINT');
      return within(exited, 'the server of procedures stops');
    },
    /** Ends it with no chance to say anything. */
    async kill() {
      child.kill('SIGKILL');
      return within(exited, 'the server of procedures is gone');
    },
  };
}

/** A client of a version, and the sockets that it has opened. */
export function client({ version, isEleven }, url, { transformer, socket = {} } = {}) {
  const load = createRequire(path.join(ROOT, 'tests/trpc', version, 'package.json'));
  const { createTRPCProxyClient, createTRPCClient, createWSClient, wsLink } = load('@trpc/client');
  const sockets = [];
  /** Notes what goes over the wire. */
  class Noted extends WebSocket {
    frames = new Feed();
    constructor(...args) {
      super(...args);
      sockets.push(this);
      this.on('message', (data) => this.frames.push({ received: data.toString() }));
      this.on('close', (code) => this.frames.push({ closed: code }));
    }
    send(data, ...rest) {
      this.frames.push({ sent: data });
      super.send(data, ...rest);
    }
  }
  const ws = createWSClient({ url, WebSocket: Noted, retryDelayMs: () => 30, ...socket });
  const codec = transformer ? superjson : undefined;
  const link = wsLink({ client: ws, ...(isEleven && { transformer: codec }) });
  const api = (isEleven ? createTRPCClient : createTRPCProxyClient)({ links: [link], ...(!isEleven && { transformer: codec }) });
  return {
    api,
    sockets,
    close: () => ws.close(),
    /** Subscribes; a feed of what the client is told, and how to stop. */
    subscribe(procedure, input) {
      const feed = new Feed();
      const subscription = procedure.subscribe(input, {
        onStarted: () => feed.push('started'),
        onData: (data) => feed.push({ data }),
        onError: (error) => feed.push({ error: error.message, code: error.data?.code }),
        onStopped: () => feed.push('stopped'),
        onComplete: () => feed.push('complete'),
      });
      return { feed, stop: () => subscription.unsubscribe(), next: (what) => feed.take(what ?? 'the client is told') };
    },
    /** Subscribes; resolves once that has begun. */
    async listen(procedure, input) {
      const subscription = this.subscribe(procedure, input);
      const first = await subscription.next('a subscription begins');
      if (first !== 'started') throw new Error(`not started: ${JSON.stringify(first)}`);
      return subscription;
    },
  };
}
