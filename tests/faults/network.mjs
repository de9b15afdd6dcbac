// The network between nodes, which tests cut and slow down. Where the system lets us (root
// on Linux), each host is a network namespace behind a bridge, and cutting one off takes
// its link down: packets vanish, as they do when a cable is pulled. Elsewhere each host is
// an address of the loopback network, and cutting it off stops what forwards its bytes.

import { execFileSync } from 'node:child_process';
import net from 'node:net';

const ip = (...args) => execFileSync('ip', args, { stdio: 'pipe' });

/** A network with nobody on it. */
export function network() {
  const made = process.env.FAULTS_NETWORK === 'loopback' ? undefined : Bridge.make();
  return made ?? new Loopback();
}

/** Where the hosts are namespaces. */
class Bridge {
  kind = 'network namespaces';
  #hosts = [];

  static make() {
    const id = process.pid % 250;
    const made = new Bridge();
    made.name = `fw${process.pid}`;
    made.subnet = `10.213.${id}`;
    try {
      ip('link', 'add', made.name, 'type', 'bridge');
      ip('addr', 'add', `${made.subnet}.1/24`, 'dev', made.name);
      ip('link', 'set', made.name, 'up');
      made.host('probe');
      made.close();
      ip('link', 'add', made.name, 'type', 'bridge');
      ip('addr', 'add', `${made.subnet}.1/24`, 'dev', made.name);
      ip('link', 'set', made.name, 'up');
    } catch {
      made.close();
      return undefined;
    }
    process.on('exit', () => made.close());
    return made;
  }

  /** The address by which every host reaches this process. */
  get here() {
    return `${this.subnet}.1`;
  }

  host(name) {
    const number = this.#hosts.length + 10;
    const host = {
      name,
      address: `${this.subnet}.${number}`,
      namespace: `${this.name}-${number}`,
      link: `${this.name}.${number}`.slice(-15),
    };
    ip('netns', 'add', host.namespace);
    this.#hosts.push(host);
    ip('link', 'add', host.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.namespace);
    ip('link', 'set', host.link, 'master', this.name, 'up');
    ip('-n', host.namespace, 'addr', 'add', `${host.address}/24`, 'dev', 'eth0');
    ip('-n', host.namespace, 'link', 'set', 'eth0', 'up');
    ip('-n', host.namespace, 'link', 'set', 'lo', 'up');
    /** The command that runs `command` there. */
    host.command = (...command) => ['ip', 'netns', 'exec', host.namespace, ...command];
    host.cut = () => ip('link', 'set', host.link, 'down');
    host.mend = () => ip('link', 'set', host.link, 'up');
    return host;
  }

  close() {
    for (const { namespace, link } of this.#hosts.splice(0)) {
      // The link first: it would go with its namespace, but at some later time.
      for (const gone of [['link', 'del', link], ['netns', 'del', namespace]]) {
        try {
          ip(...gone);
        } catch { /* it was never made */ }
      }
    }
    try {
      ip('link', 'del', this.name);
    } catch { /* it is gone */ }
  }
}

/** Where the hosts are addresses of the loopback network. */
class Loopback {
  kind = 'loopback addresses';
  here = '127.0.0.1';
  #count = 0;

  host(name) {
    this.#count += 1;
    const host = { name, address: `127.77.0.${this.#count + 9}`, roads: [] };
    host.command = (...command) => command;
    host.cut = () => host.roads.forEach((road) => road.cut());
    host.mend = () => host.roads.forEach((road) => road.mend());
    return host;
  }

  close() {}
}

/** Forwards what a host sends to another one, as slowly as it is told to. */
export class Road {
  #pairs = new Set();
  #isCut = false;
  delay = 0;

  /** The way from `host` to a port of an address, over this process. */
  static async open(network, host, to) {
    const road = new Road();
    road.to = to;
    road.server = net.createServer((socket) => road.#pass(socket));
    await new Promise((resolve) => road.server.listen(0, network.here, resolve));
    road.address = `${network.here}:${road.server.address().port}`;
    host.roads?.push(road);
    return road;
  }

  #pass(from) {
    const to = net.createConnection(this.to);
    const pair = [from, to];
    this.#pairs.add(pair);
    for (const [one, other] of [[from, to], [to, from]]) {
      one.setNoDelay(true);
      one.on('data', (bytes) => this.#forward(other, bytes));
      one.on('error', () => {});
      one.on('close', () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
      if (this.#isCut) one.pause();
    }
  }

  #forward(to, bytes) {
    if (this.delay === 0) to.write(bytes);
    else setTimeout(() => to.destroyed || to.write(bytes), this.delay);
  }

  /** Nothing passes any more, and nobody is told. */
  cut() {
    this.#isCut = true;
    this.#pairs.forEach((pair) => pair.forEach((socket) => socket.pause()));
  }

  mend() {
    this.#isCut = false;
    this.#pairs.forEach((pair) => pair.forEach((socket) => socket.resume()));
  }

  close() {
    this.server.close();
    this.#pairs.forEach(([from]) => from.destroy());
  }
}
