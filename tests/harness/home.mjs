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

async function serve(name) {
  const env = { ...process.env, FANWIRE_ADDRESS: '127.0.0.1:0', FANWIRE_DATA: temporaryFolder('data') };
  const child = spawn(program(name), [], { env, stdio: ['ignore', 'inherit', 'pipe'] });
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
    told: () => told,
    /** Ends it as Ctrl-C does. */
    stop() {
      child.kill('SIGINT');
      return within(exited, `${name} stops`);
    },
  };
}
