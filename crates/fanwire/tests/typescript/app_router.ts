// Written by fanwire from the router in Rust: do not edit.
import { initTRPC } from "@trpc/server";
import type { Observable as Subscribed } from "@trpc/server/observable";

export type Member = { id: number, name: string, };

export type News = { "kind": "joined", who: Member, } | { "kind": "counted", rooms: { [key in string]: number }, };

export type Watch = { roomName: string, since: number | null, };

/** For its type alone: what it describes is served by Rust. */
const router = () => {
  const t = initTRPC.create();
  const takes = <T>() => (input: unknown): T => input as T;
  const gives = <T>() => (): T => { throw new Error("a type, and no server"); };
  return t.router({
    "countdown": t.procedure.input(takes<number>()).subscription(gives<Subscribed<number, unknown>>()),
    "greeting": t.procedure.input(takes<string>()).query(gives<string>()),
    "members": t.procedure.query(gives<Array<Member>>()),
    "rooms": t.router({
      "join": t.procedure.input(takes<Watch>()).mutation(gives<Member>()),
      "news": t.procedure.input(takes<Watch>()).subscription(gives<Subscribed<News, unknown>>()),
    }),
    "ticks": t.procedure.subscription(gives<Subscribed<{ id: string, data: number }, unknown>>()),
  });
};

/** What the server offers. */
export type AppRouter = ReturnType<typeof router>;
