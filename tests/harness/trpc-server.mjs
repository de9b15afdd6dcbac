// A tRPC server of @trpc/server itself, for the clients that are tested against it:
//
//   node trpc-server.mjs VERSION [superjson]        one of the folders of ../trpc
//
// Prints its port. Then each line of standard input is a command, answered by a line when it is done: `terminate`
// cuts all connections off, `reconnect` asks all clients to connect anew, `say TEXT` adds to the history. It ends with
// its standard input.

import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';

const [, , version, transformer] = process.argv;
const require = createRequire(new URL(`../trpc/${version}/package.json`, import.meta.url));
const { initTRPC, TRPCError, tracked } = require('@trpc/server');
const { applyWSSHandler } = require('@trpc/server/adapters/ws');
const { observable } = require('@trpc/server/observable');

const history = [];
const said = new EventEmitter().setMaxListeners(0);
let listeners = 0;
const heard = { PING: 0, PONG: 0 };

function say(text) {
  history.push(text);
  said.emit('said', text);
}

// Everything said, with its number as its id; what came after the last one that the client has.
async function* messages({ input, signal }) {
  let last = input?.lastEventId === undefined ? 0 : Number(input.lastEventId);
  while (!signal.aborted) {
    while (last < history.length) yield tracked(String(++last), { text: history[last - 1] });
    await once(said, 'said', { signal }).catch(() => {});
  }
}

// What JSON has no word for, changed in ways that only the real thing takes.
function older({ opened, cents, owners, limits, closed }) {
  return {
    opened: new Date(opened.getTime() + 1000),
    cents: cents * 2n,
    owners: new Set([...owners].map((name) => name.toUpperCase())),
    limits: new Map([...limits].map(([at, limit]) => [new Date(at.getTime() + 1000), limit + 1])),
    closed: closed === null ? undefined : closed,
  };
}

const t = initTRPC.context().create(transformer && { transformer: (await import(transformer)).default });
const anything = t.procedure.input((value) => value);
const router = t.router({
  math: t.router({ add: anything.query(({ input }) => input.a + input.b) }),
  // Undefined, which JSON has no word for.
  nothing: anything.query(({ input }) => (input === undefined ? undefined : 'something')),
  whoami: anything.query(({ ctx }) => ctx.token),
  listeners: anything.query(() => listeners),
  heartbeats: anything.query(() => [heard.PING, heard.PONG]),
  refuse: anything.query(() => {
    throw new TRPCError({ code: 'UNAUTHORIZED', message: 'who are you?' });
  }),
  never: anything.query(() => new Promise(() => {})),
  say: anything.mutation(({ input }) => say(input)),
  account: t.router({
    older: anything.query(({ input }) => older(input)),
    tooOld: anything.mutation(({ input }) => {
      throw new TRPCError({ code: 'CONFLICT', message: `opened ${input.toISOString()}` });
    }),
    ages: anything.subscription(({ input }) =>
      observable((emit) => {
        emit.next(older(input));
        emit.next(older(older(input)));
        emit.complete();
      }),
    ),
  }),
  live: anything.subscription(() =>
    observable((emit) => {
      const next = (text) => emit.next(text);
      said.on('said', next);
      listeners++;
      return () => {
        listeners--;
        said.off('said', next);
      };
    }),
  ),
  countdown: anything.subscription(({ input }) =>
    observable((emit) => {
      for (let n = input; n > 0; n--) emit.next(n);
      emit.complete();
    }),
  ),
  ...(tracked && { messages: anything.subscription(messages) }),
});

let connections = 0;
const createContext = ({ req, info }) => {
  connections++;
  const token = info?.connectionParams?.token ?? new URL(req.url, 'ws://host').searchParams.get('token');
  if (token === 'wrong') throw new TRPCError({ code: 'UNAUTHORIZED', message: 'wrong token' });
  return { token: token && `${token} ${connections}` };
};

const wss = new WebSocketServer({ port: 0, host: '127.0.0.1' });
await once(wss, 'listening');
wss.on('connection', (client) => client.on('message', (text) => String(text) in heard && heard[text]++));
const keepAlive = { enabled: true, pingMs: 100, pongWaitMs: 5000 };
const handler = applyWSSHandler({ wss, router, createContext, keepAlive });
console.log(wss.address().port);

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...rest] = line.split(' ');
  if (command === 'terminate') for (const client of wss.clients) client.terminate();
  if (command === 'reconnect') handler.broadcastReconnectNotification();
  if (command === 'say') say(rest.join(' '));
  console.log('done');
}
process.exit();
