// An example in Rust in each of its homes: as a server of its own, and as a function under
// `fanwire dev`.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';

import { ROOT, example, start } from './fanwire.mjs';
import { temporaryFolder } from './folder.mjs';
import { Feed, within } from './patience.mjs';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Where `./test` has built the examples. */
export const program = (name) => path.join(ROOT, 'target/debug', name);

/** Each home, and how an example is started there; `program` is its program's name. */
export const HOMES = [
  { home: 'a server of its own', start: (folder, name) => serve(name) },
  { home: 'a function', start: (folder) => dev(folder) },
];

async function dev(folder) {
  const server = await start(example(folder));
  const websocket = server.ready.apis[0]?.url;
  return {
    websocket, procedures: websocket, mqtt: server.ready.realtime?.url, told: () => server.stderr,
    stop: () => server.stop(),
  };
}

/** Starts a program as a server of its own; resolves once it serves. `env` is what it is told beside. */
export async function serve(name, env = { FANWIRE_DATA: temporaryFolder('data') }) {
  const all = { ...process.env, FANWIRE_ADDRESS: '127.0.0.1:0', ...env };
  const child = spawn(program(name), [], { env: all, stdio: ['ignore', 'inherit', 'pipe'] });
  running.add(child);
  const exited = new Promise((resolve) => child.on('close', (code, signal) => {
    running.delete(child);
    resolve({ code, signal });
  }));
  const lines = new Feed();
  let told = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    told += `${line}\n`;
    lines.push(line);
  });
  exited.then(({ code, signal }) => lines.end(`${name} ended with ${signal ?? code}: ${told}`));
  const line = await lines.find((each) => each.includes('serving'), `${name} serves`);
  const [, host] = /ws:\/\/([^;]+)/.exec(line);
  return {
    websocket: `ws://${host}/`,
    procedures: `ws://${host}/trpc`,
    mqtt: `ws://${host}/mqtt`,
    port: host.split(':')[1],
    told: () => told,
    /** Ends it as Ctrl-C does. */
    stop() {
      child.kill('SIGINT');
      return within(exited, `${name} stops`);
    },
    /** Ends it with no chance to say anything. */
    kill() {
      child.kill('SIGKILL');
      return within(exited, `${name} is gone`);
    },
  };
}
