// Runs `fanwire dev` on an app for the length of a test file and reads what it
// reports on its standard output, one JSON object a line.

import { spawn, execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import path from 'node:path';

import { temporaryFolder } from './folder.mjs';
import { Feed, PATIENCE_MS, within } from './patience.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** The repository's root. */
export const ROOT = path.resolve(here, '../..');

/** The program under test. */
export const FANWIRE = process.env.FANWIRE ?? path.join(ROOT, 'target/debug/fanwire');

/** The certificate authority of the tests, which leave that of whoever runs them alone. */
export const HOME = path.join(ROOT, '.cache/fanwire-home');

/** The folder of a test app. */
export const app = (name) => path.join(ROOT, 'tests/apps', name);

/** The folder of an example. */
export const example = (name) => path.join(ROOT, 'examples', name);

/** Runs `fanwire ARGS` to its end. */
export async function fanwire(args, { env = {}, cwd = ROOT } = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(FANWIRE, args, {
      cwd,
      env: { ...process.env, FANWIRE_HOME: HOME, ...env },
      timeout: PATIENCE_MS,
    });
    return { status: 0, stdout, stderr };
  } catch (error) {
    if (typeof error.code !== 'number') throw error;
    return { status: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

/** Starts `fanwire ARGS` and gives it `input`; a feed of its output's lines, and its end. */
export function launch(args, { env = {}, cwd = ROOT, input } = {}) {
  const child = spawn(FANWIRE, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
  running.add(child);
  free(child);
  const launched = { child, lines: new Feed(), stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    launched.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    launched.stderr += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => launched.lines.push(line));
  // A program that has ended reads no more.
  child.stdin.on('error', () => {});
  if (input !== undefined) child.stdin.end(input);
  launched.exited = within(new Promise((resolve) => {
    child.on('close', (status, signal) => {
      running.delete(child);
      launched.lines.end(`the program ended with ${signal ?? status}: ${launched.stderr}`);
      const { stdout, stderr } = launched;
      resolve({ status, signal, stdout, stderr });
    });
  }), `fanwire ${args[0]} ends`);
  // Whoever launched it awaits this where its end matters.
  launched.exited.catch(() => {});
  return launched;
}

/** Starts `fanwire dev`, or another command that serves, on a folder or file, and resolves once it is ready. */
export async function start(target, { command = 'dev', args = [], env = {}, patience = PATIENCE_MS, listen = true } = {}) {
  const server = new Fanwire(target, args, env, command, listen);
  try {
    server.ready = await server.events.find(
      ({ type }) => type === 'ready',
      `fanwire ${command} ${path.relative(ROOT, target)} is ready`,
      patience,
    );
  } catch (error) {
    await server.kill();
    throw new Error(`${error.message}\n${server.stderr}`);
  }
  return server;
}

/** Lets the tests end while a program runs: one that a failed test left behind would hold them for ever. */
function free(child) {
  for (const each of [child, child.stdin, child.stdout, child.stderr]) each?.unref();
}

/** Servers that still run: they end with the tests, however those end. */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A running `fanwire dev`. */
export class Fanwire {
  /** Its data folder. */
  data;
  /** Every JSON line of its standard output. */
  events = new Feed();
  /** What it wrote to its standard error. */
  stderr = '';

  constructor(target, args, env, command, listen) {
    // Endpoints and credentials of whoever runs the tests have no say in them.
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
    // Several servers run the same app at once, so none keeps its tables in the app's folder.
    this.data = args.includes('--data') ? args[args.indexOf('--data') + 1] : temporaryFolder('data');
    const data = args.includes('--data') ? [] : ['--data', this.data];
    const anyPort = command === 'serve' ? ['--listen', '127.0.0.1:0'] : ['--port', '0'];
    // Settings may have listeners of their own.
    const port = !listen || args.includes(anyPort[0]) ? [] : anyPort;
    this.child = spawn(FANWIRE, [command, target, ...port, '--json', ...data, ...args], {
      env: { ...Object.fromEntries(inherited), FANWIRE_HOME: HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    free(this.child);
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      let event;
      try {
        event = JSON.parse(line);
      } catch {
        event = { type: 'not-json', line };
      }
      this.events.push(event);
    });
    this.exited = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.stderr += `${error}`;
        this.events.end(`the program did not start: ${error.message}`);
        resolve({ code: null, signal: null });
      });
      this.child.on('exit', () => running.delete(this.child));
      this.child.on('close', (code, signal) => {
        this.events.end(`the server ended with ${signal ?? code}: ${this.stderr}`);
        resolve({ code, signal });
      });
    });
  }

  get pid() {
    return this.child.pid;
  }

  get port() {
    return this.ready.port;
  }

  /** The address that handshakes and management calls share: `127.0.0.1:PORT`. */
  get host() {
    return `127.0.0.1:${this.port}`;
  }

  /** The WebSocket URL of the API called `name`, or of the only one. */
  url(suffix = '', name) {
    return this.#api(name).url + suffix;
  }

  /** The management URL of the API called `name`, or of the only one. */
  management(name) {
    return this.#api(name).management;
  }

  #api(name) {
    const api = name ? this.ready.apis.find((each) => each.name === name) : this.ready.apis[0];
    if (!api) throw new Error(`no API ${name}: ${JSON.stringify(this.ready.apis)}`);
    return api;
  }

  /** The report of one request that the gateway handled. */
  request(wanted, what) {
    return this.events.find((event) => event.type === 'request' && matches(event, wanted), what);
  }

  /** The JSON that a handler printed after `marker `, where `wanted` accepts it. */
  async printed(marker, wanted, what) {
    const found = await this.events.find((event) => {
      const value = printedBy(event, marker);
      return value !== undefined && wanted(value);
    }, what);
    return printedBy(found, marker);
  }

  /** Ends the server as Ctrl-C does, and resolves with how it exited. */
  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGINT');
    try {
      return await within(this.exited, 'the server stops after SIGINT');
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Ends the server with no chance to clean up. */
  async kill() {
    this.child.kill('SIGKILL');
    return within(this.exited, 'nothing holds the output of a killed server');
  }
}

/** The JSON after `marker ` in a line that a function printed, if this is one. */
export function printedBy({ type, text }, marker) {
  // A runtime may put a time and a request id before what a handler prints.
  const json = type === 'line' ? new RegExp(`(?:^|\\s)${marker} (\\{.*\\})$`).exec(text)?.[1] : undefined;
  return json && JSON.parse(json);
}

function matches(event, wanted) {
  return Object.entries(wanted).every(([key, value]) => event[key] === value);
}
