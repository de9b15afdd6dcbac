// A door that handlers wait at: they GET it, and it answers when the test says
// so. It shows, without clocks, what the gateway does while a handler is busy.

import http from 'node:http';

import { Feed } from './patience.mjs';

/** Opens a gate on a free port of the loopback interface. */
export async function openGate() {
  const arrivals = new Feed();
  const held = new Map();
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(request.url.slice(1));
    held.set(name, [...(held.get(name) ?? []), response]);
    arrivals.push(name);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Resolves once a handler waits at the door called `name`. */
    arrived: (name) => arrivals.find((each) => each === name, `a handler waits at ${name}`),
    /** How many handlers have come to the door called `name` so far. */
    arrivals: (name) => arrivals.items.filter((each) => each === name).length,
    /** Lets everyone at the door called `name` through. */
    release(name) {
      for (const response of held.get(name) ?? []) response.end('go');
      held.delete(name);
    },
    close() {
      for (const name of held.keys()) this.release(name);
      server.closeAllConnections();
      server.close();
    },
  };
}
