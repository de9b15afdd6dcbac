// Server memory for each idle connection, with and without TLS: `./bench` first, which
// builds the program and installs what this needs, then `node crates/fanwire-bench/peers/tls-idle.mjs`.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { WebSocket } from 'ws';

const [FIRST, MORE, AT_ONCE] = [3000, 4000, 50];

const peers = path.dirname(fileURLToPath(import.meta.url));
const program = path.resolve(peers, '../../../target/release/fanwire');
const folder = mkdtempSync(path.join(os.tmpdir(), 'fanwire-tls-'));
const args = ['dev', path.join(peers, 'connections'), '--profile', 'open', '--json', '--port', '0', '--data', folder];
const server = spawn(program, args, { env: { ...process.env, FANWIRE_HOME: folder }, stdio: ['ignore', 'pipe', 'inherit'] });
process.on('exit', () => {
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
const lines = createInterface({ input: server.stdout });
const { port } = JSON.parse(await new Promise((resolve) => lines.once('line', resolve)));

const connect = (scheme) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`${scheme}://localhost:${port}/dev`, { rejectUnauthorized: false });
  socket.on('open', resolve).on('error', reject);
});

async function rssAfter(scheme, count) {
  for (let made = 0; made < count; made += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => connect(scheme)));
  }
  await setTimeout(1500);
  return Number(/Rss:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
}

for (const scheme of ['ws', 'wss']) {
  const before = await rssAfter(scheme, FIRST);
  const after = await rssAfter(scheme, MORE);
  console.log(`${scheme}: ${Math.round((after - before) / MORE)} bytes of RSS for each connection`);
}
process.exit();
