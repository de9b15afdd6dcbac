// Unmodified clients of tRPC, old and new, and the app that they talk to.

import { createRequire } from 'node:module';
import path from 'node:path';

import superjson from 'superjson';
import { WebSocket } from 'ws';

import { ROOT, app, start } from './fanwire.mjs';
import { serve } from './home.mjs';
import { Feed } from './patience.mjs';

/** The versions of `@trpc/client` that are tested, each with what it can do. */
export const VERSIONS = ['10.40', '10.45', '11.0', '11.18', '11.25'].map((version) => ({
  version,
  isEleven: version.startsWith('11'),
}));

/** The app of tests/apps/trpc: a server of its own, and a function. Each home: its name, and how the app starts there. */
export const ROOMS = [
  { home: 'a server of its own', isServer: true, start: rooms },
  { home: 'a function', isServer: false, start: roomsAsFunction },
];

/** Starts the rooms as a server of their own, at a port of their own unless one is given. */
export async function rooms({ data, port = 0, ...env } = {}) {
  const server = await serve('examples/rooms', { FANWIRE_ADDRESS: `127.0.0.1:${port}`, ...(data && { FANWIRE_DATA: data }), ...env });
  return { ...server, url: server.procedures };
}

/** Starts the rooms as a function; `data` is where the tables are. */
export async function roomsAsFunction({ data, port = 0, ...env } = {}) {
  const server = await start(app('trpc'), { env, args: [...(data ? ['--data', data] : []), '--port', `${port}`] });
  return { url: server.url(), port: server.port, stop: () => server.stop(), kill: () => server.kill() };
}

/** A client of a version, and the sockets that it has opened. */
export function client({ version, isEleven }, url, { transformer, headers, socket = {} } = {}) {
  const load = createRequire(path.join(ROOT, 'tests/trpc', version, 'package.json'));
  const { createTRPCProxyClient, createTRPCClient, createWSClient, wsLink } = load('@trpc/client');
  const sockets = [];
  /** Notes what goes over the wire. */
  class Noted extends WebSocket {
    frames = new Feed();
    constructor(address, protocols) {
      super(address, protocols, { headers });
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
