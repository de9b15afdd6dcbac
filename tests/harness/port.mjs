// Ports for what cannot take a free one by itself.

import net from 'node:net';

/** Below those that systems give to clients (32768 and up on Linux), which would take one meanwhile. */
const [FIRST, COUNT] = [12_000, 20_000];

/** A port of this machine's loopback that was free just now. */
export async function freePort() {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error('there is no free port');
}
