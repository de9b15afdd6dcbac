// Nodes that serve one app together on this machine, and the NATS server between them.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { ROOT, app, start } from './fanwire.mjs';
import { temporaryFolder } from './folder.mjs';
import { eventually, within } from './patience.mjs';
import { freePort } from './port.mjs';

const NATS_SERVER = process.env.NATS_SERVER ?? path.join(ROOT, '.cache/venv/bin/nats-server');

/** A nats-server whose streams outlive it. */
export class Nats {
  /** `more` are lines of its configuration, made with the port that it has. */
  static async start(more = []) {
    const nats = await Nats.prepare();
    nats.configure(more);
    await nats.run();
    return nats;
  }

  /** One that has its port and its folder, and does not run yet. */
  static async prepare() {
    if (!existsSync(NATS_SERVER)) {
      throw new Error(`there is no ${NATS_SERVER}: \`./test clients\` installs it from tests/python/requirements.txt; or set NATS_SERVER`);
    }
    const nats = new Nats();
    nats.port = await freePort();
    nats.folder = temporaryFolder('nats');
    return nats;
  }

  configure(more) {
    writeFileSync(path.join(this.folder, 'nats.conf'), [
      `listen: "127.0.0.1:${this.port}"`,
      `jetstream { store_dir: "${this.folder}/jetstream", sync_interval: always }`,
      ...more,
    ].join('\n'));
  }

  get url() {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it, or starts it again with what it had on its disk. */
  async run() {
    this.output = '';
    this.child = spawn(NATS_SERVER, ['-c', path.join(this.folder, 'nats.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    const { child } = this;
    process.once('exit', () => child.kill('SIGKILL'));
    child.unref();
    child.stderr.unref();
    child.stderr.setEncoding('utf8').on('data', (text) => {
      this.output += text;
    });
    this.exited = new Promise((resolve) => child.on('exit', resolve));
    await eventually(() => this.output.includes('Server is ready'), 'NATS is ready').catch((error) => {
      throw new Error(`${error.message}: ${this.output}`);
    });
  }

  async kill() {
    this.child.kill('SIGKILL');
    await within(this.exited, 'NATS ends');
  }

  /** Kills it, and starts it again with nothing on its disk. */
  async loseDisk() {
    await this.kill();
    rmSync(path.join(this.folder, 'jetstream'), { recursive: true });
    await this.run();
  }
}

/** Several nodes and their NATS server. */
export class Cluster {
  /** `settings` are lines of `[cluster]`; the NATS server is one of this cluster's own, unless there is `nats`. */
  static async start(count = 3, { lease = '2s', nats, settings } = {}) {
    const cluster = new Cluster();
    cluster.lease = lease;
    cluster.ends = path.join(temporaryFolder('ends'), 'ends');
    writeFileSync(cluster.ends, '');
    writeFileSync(`${cluster.ends}.heard`, '');
    cluster.nats = nats ?? await Nats.start();
    cluster.settings = settings ?? [`nats = "${cluster.nats.url}"`];
    cluster.nodes = [];
    for (let number = 1; number <= count; number += 1) await cluster.add(`node-${number}`);
    return cluster;
  }

  /** Starts one more node. */
  async add(name) {
    const config = path.join(temporaryFolder(name), 'fanwire.serve.toml');
    writeFileSync(config, [
      '[access]', 'allow_anonymous = ["connections", "control", "data", "mqtt"]',
      '[drain]', 'window = "1s"', 'grace = "10s"',
      '[cluster]', `node = "${name}"`, `lease = "${this.lease}"`, ...this.settings,
    ].join('\n'));
    const node = await start(app('cluster'), { command: 'serve', args: ['--config', config], env: { ENDS: this.ends } });
    this.nodes.push(node);
    return node;
  }

  /** The ids of connections of which the app was told that they have ended, as often as it was. */
  ended() {
    return readFileSync(this.ends, 'utf8').split('\n').filter(Boolean);
  }

  /** What the app's function has heard on `heard/#`, as often as it did. */
  heard() {
    return readFileSync(`${this.ends}.heard`, 'utf8').split('\n').filter(Boolean);
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.nats.kill();
  }
}
