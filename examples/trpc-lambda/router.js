// What clients can subscribe to, and by what a publisher can choose among the subscribers.

import { callProcedure, initTRPC } from '@trpc/server';
import { observable } from '@trpc/server/observable';
import { z } from 'zod';

const t = initTRPC.context().create();

/**
 * Emits the value that is being published, which is in the context then. It runs once for each value and subscriber,
 * so a procedure can check or change what this subscriber sees.
 */
const published = ({ published }) => observable((observer) => {
  observer.next(published);
  observer.complete();
});

export const router = t.router({
  room: t.router({
    messages: t.procedure
      .input(z.object({ room: z.string() }))
      .subscription(({ ctx }) => published(ctx)),
  }),
  notices: t.procedure.subscription(({ ctx }) => published(ctx)),
});

/** The filters of each path. What they name of the context and the input becomes a part of the records' keys. */
export const filters = {
  'room.messages': [
    { name: 'room', input: ['room'] },
    { name: 'reader', ctx: ['user'], input: ['room'] },
  ],
};

/** The observable of the procedure at `path`, or an error where path or input are wrong. */
export const observe = ({ path, input, ctx }) =>
  callProcedure({ procedures: router._def.procedures, path, rawInput: input, ctx, type: 'subscription' });

/** How values are written in frames. */
export const { transformer } = router._def._config;
