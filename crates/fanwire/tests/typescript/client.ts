import { createTRPCProxyClient, createWSClient, wsLink } from "@trpc/client";
import type { AppRouter } from "./app_router";

const client = createTRPCProxyClient<AppRouter>({
  links: [wsLink({ client: createWSClient({ url: "ws://localhost:1" }) })],
});
export const greeting: Promise<string> = client.greeting.query("Ann");
export const members: Promise<{ id: number; name: string }[]> = client.members.query();
export const joined: Promise<string> = client.rooms.join.mutate({ roomName: "lobby", since: null }).then((it) => it.name);
client.ticks.subscribe(undefined, { onData: (tick) => { const id: string = tick.id; const n: number = tick.data; void [id, n]; } });
client.countdown.subscribe(3, { onData: (left: number) => void left });
client.rooms.news.subscribe({ roomName: "lobby", since: 3 }, {
  onData: (news) => { if (news.kind === "joined") { const name: string = news.who.name; void name; } },
});
// @ts-expect-error the field is roomName
client.rooms.news.subscribe({ room_name: "lobby", since: 3 }, {});
// @ts-expect-error the input is a string
void client.greeting.query(7);
// @ts-expect-error it is no mutation
void client.greeting.mutate("Ann");
