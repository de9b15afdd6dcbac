// `fanwire serve` behind proxies that people have, set up as docs/serve.md says.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT, app, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { join } from '../harness/mqtt.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { freePort } from '../harness/port.mjs';
import { connect } from '../harness/websocket.mjs';

const PAGE = readFileSync(path.join(ROOT, 'docs/serve.md'), 'utf8');

/** The example of a proxy in the documentation, and that of Fanwire's settings after it. */
function example(language) {
  const [, proxy, settings] = PAGE.match(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\`[^]*?\`\`\`toml\\n([^]*?)\`\`\``));
  return { proxy, settings };
}

const PROXIES = [
  {
    name: 'nginx',
    command: (file, folder) => ['nginx', '-p', folder, '-e', 'stderr', '-c', file],
    // What the distribution's own file has around it.
    whole: (text, folder) => `daemon off;\nworker_processes 1;\npid ${folder}/pid;\nevents {}\nhttp {\naccess_log off;\n${
      ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`).join('\n')
    }\n${text}}\n`,
    mqtt: (port) => `ws://127.0.0.1:${port}/mqtt`,
  },
  { name: 'haproxy', command: (file) => ['haproxy', '-db', '-f', file], whole: (text) => text, mqtt: (port) => `mqtt://127.0.0.1:${port}` },
];

/** Whether somebody listens. */
const isOpen = (port) => new Promise((resolve) => {
  const socket = net.connect({ host: '127.0.0.1', port }, () => resolve(true)).on('error', () => resolve(false));
  socket.on('connect', () => socket.destroy());
});

for (const { name, command, whole, mqtt } of PROXIES) {
  describe(`behind ${name}`, () => {
    let server;
    let proxy;
    let port;
    before(async () => {
      const folder = temporaryFolder(name);
      const { proxy: text, settings } = example(name);
      port = await freePort();
      const inner = await freePort();
      const here = (config) => config.replaceAll('127.0.0.1:3001', `127.0.0.1:${inner}`)
        .replaceAll(/:8080\b/g, `127.0.0.1:${port}`).replaceAll('listen 8080', `listen 127.0.0.1:${port}`);
      writeFileSync(path.join(folder, 'serve.toml'), `${here(settings)}\n[access]\nallow_anonymous = ["mqtt"]\n`);
      writeFileSync(path.join(folder, 'proxy.conf'), whole(here(text), folder));
      server = await start(app('cluster'), { command: 'serve', args: ['--config', path.join(folder, 'serve.toml')], listen: false });
      const [program, ...args] = command(path.join(folder, 'proxy.conf'), folder);
      proxy = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
      await eventually(() => isOpen(port), `${name} listens`);
    });
    after(async () => {
      proxy?.kill('SIGTERM');
      await server?.stop();
    });

    test(`a WebSocket is what it is without ${name}, and its client known`, async () => {
      const client = await connect(`ws://127.0.0.1:${port}/dev`, { localAddress: '127.0.0.77' });
      const { identity, domainName } = JSON.parse(await client.ask('context'));
      assert.equal(identity.sourceIp, '127.0.0.77');
      assert.match(domainName, /^127\.0\.0\.1/);
      client.socket.close(4001, 'enough');
      assert.equal((await within(client.closed, 'it closes')).code, 4001);
    });

    test(`MQTT goes through ${name}`, async () => {
      const peer = await join(mqtt(port));
      await peer.subscribe('proxied/#');
      await peer.publish('proxied/x', 'hello', { qos: 1 });
      assert.equal((await peer.next()).payload, 'hello');
      await peer.leave();
    });
  });
}
