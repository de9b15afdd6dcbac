// `./test faults`: what happens to real clients when nodes, links and NATS fail, judged by
// the checker of `history.mjs`. Arguments: the scenarios to run; all of them without one.

import { History } from './history.mjs';
import { Cluster } from './cluster.mjs';
import { Load, percentile } from './load.mjs';

const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** How long the load runs before something is broken, and how long a fault lasts. */
const WARM_MS = 4_000;
const FAULT_MS = Number(process.env.FAULT_SECONDS ?? 12) * 1_000;

/** What is done to a cluster under load. Each mends what it broke. */
const SCENARIOS = {
  'nothing is broken': async () => rest(FAULT_MS),

  'kill -9 of a node': async ({ nodes }, history) => {
    history.fault('kill -9');
    await nodes[0].kill();
    await rest(FAULT_MS);
    history.fault('started again');
    await nodes[0].start();
  },

  'a process that is started again': async ({ nodes }, history) => {
    history.fault('kill -9');
    await nodes[0].kill();
    // Long before others take it for dead.
    history.fault('started again');
    await nodes[0].start();
    await rest(FAULT_MS);
  },

  'a node is cut off': async ({ nodes }, history) => {
    history.fault('cut');
    nodes[1].host.cut();
    await rest(FAULT_MS);
    history.fault('mended');
    nodes[1].host.mend();
  },

  'NATS is cut off': async ({ nats }, history) => {
    history.fault('cut');
    nats.host.cut();
    await rest(FAULT_MS);
    history.fault('mended');
    nats.host.mend();
  },

  'kill -9 of NATS': async ({ nats }, history) => {
    history.fault('kill -9');
    await nats.stop();
    await rest(FAULT_MS / 2);
    history.fault('started again');
    await nats.start();
  },

  'a rolling restart': async ({ nodes }, history) => {
    for (const node of nodes) {
      history.fault(`${node.name} drains`);
      await node.drain();
      await node.start('lease = "5s"');
      await rest(2_000);
    }
  },

  'slow links': async ({ nodes }, history) => {
    history.fault('slow');
    nodes.forEach(({ road }, n) => Object.assign(road, { delay: 40 * (n + 1) }));
    await rest(FAULT_MS);
    history.fault('fast');
    nodes.forEach(({ road }) => Object.assign(road, { delay: 0 }));
  },
};

async function run(name, act) {
  const cluster = await Cluster.start();
  const history = new History();
  const load = new Load(cluster, history);
  try {
    await load.start();
    await rest(WARM_MS);
    load.absences = { mqtt: [], websocket: [] };
    await act(cluster, history);
    await load.settled(name);
    await rest(WARM_MS / 2);
    const { ok, counts, ...violations } = await load.verdict();
    const away = Object.fromEntries(Object.entries(load.absences).map(([kind, times]) => [
      kind, times.length ? { clients: times.length, p50: percentile(times, 0.5), p99: percentile(times, 0.99) } : 'nobody',
    ]));
    console.log(JSON.stringify({ scenario: name, network: cluster.network.kind, ok, ...counts, away }));
    for (const [kind, sentences] of Object.entries(violations)) {
      if (sentences.length) console.log(`  ${kind}: ${sentences.length}\n    ${sentences.slice(0, 5).join('\n    ')}`);
    }
    return ok;
  } catch (error) {
    console.log(JSON.stringify({ scenario: name, ok: false, error: error.message }));
    for (const node of cluster.nodes) console.log(`${node.name}:\n${node.process.output.slice(-2_000)}`);
    return false;
  } finally {
    await load.stop();
    await cluster.stop();
  }
}

const chosen = process.argv.slice(2);
let failed = 0;
for (const [name, act] of Object.entries(SCENARIOS)) {
  if (chosen.length > 0 && !chosen.some((part) => name.includes(part))) continue;
  if (!(await run(name, act))) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
