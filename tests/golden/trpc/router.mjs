// The app that is recorded. crates/fanwire-subscriptions/tests/golden.rs has the same.

/** Router and context for the server of tRPC that `load` requires. */
export function router(load, transformer) {
  const { initTRPC, TRPCError, tracked } = load('@trpc/server');
  const { observable } = load('@trpc/server/observable');
  const t = initTRPC.create({ isDev: false, ...(transformer && { transformer }) });
  const text = (value) => {
    if (typeof value !== 'string') throw new Error('Expected a string');
    return value;
  };
  const { procedure } = t;
  /** Events one after the other, and then the end, an error, or neither. */
  const emits = (values, end, signal) =>
    tracked ? stream(values, end, signal) : observed(observable, values, end);
  const appRouter = t.router({
    fence: procedure.query(() => null),
    hello: procedure.input(text).query(({ input }) => `hello ${input}`),
    add: procedure.mutation(async ({ getRawInput, rawInput }) => {
      const { a, b } = rawInput ?? (await getRawInput());
      return { sum: a + b };
    }),
    nothing: procedure.query(() => undefined),
    epoch: procedure.query(() => ({ at: new Date(0) })),
    fails: procedure.query(() => {
      throw new TRPCError({ code: 'UNAUTHORIZED', message: 'nope' });
    }),
    breaks: procedure.mutation(() => {
      throw new Error('boom "quoted"');
    }),
    whoami: procedure.query(({ ctx }) => ctx.token),
    nested: t.router({ deeper: procedure.query(() => [1, 2]) }),
    ticks: procedure.subscription(({ signal }) => emits([{ i: 0 }, { i: 1 }], 'end', signal)),
    forever: procedure.subscription(({ signal }) => emits([{ i: 0 }], 'open', signal)),
    conflict: procedure.subscription(() =>
      emits([{ i: 0 }], new TRPCError({ code: 'CONFLICT', message: 'changed' })),
    ),
    refused: procedure.subscription(() => {
      throw new TRPCError({ code: 'FORBIDDEN', message: 'not yours' });
    }),
    ...(tracked && {
      tracked: procedure.input((value) => value).subscription(({ input, signal }) => {
        const last = Number(input?.lastEventId ?? 0);
        return stream([last + 1, last + 2].map((i) => tracked(String(i), { i })), 'open', signal);
      }),
    }),
  });
  const createContext = ({ info }) => {
    const token = info?.connectionParams?.token ?? 'nobody';
    if (token === 'bad') throw new TRPCError({ code: 'UNAUTHORIZED', message: 'who are you' });
    return { token };
  };
  return { router: appRouter, createContext };
}

async function* stream(values, end, signal) {
  yield* values;
  // Who does not end when it is stopped keeps the server from saying so.
  if (end === 'open') await new Promise((resolve) => signal.addEventListener('abort', resolve));
  if (end instanceof Error) throw end;
}

/** The same for v10, whose subscriptions have to begin after they have started. */
function observed(observable, values, end) {
  return observable((emit) => {
    setImmediate(() => {
      values.forEach((value) => emit.next(value));
      if (end === 'end') emit.complete();
      if (end instanceof Error) emit.error(end);
    });
    return () => {};
  });
}
