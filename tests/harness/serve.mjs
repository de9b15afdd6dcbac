// Runs `fanwire serve` for the length of a test, with settings of the test's own.

import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { launch } from './fanwire.mjs';
import { temporaryFolder } from './folder.mjs';

/** Starts `fanwire serve` on a project with the text of a fanwire.serve.toml; resolves once it is ready. */
export async function serve(project, settings, { env = {}, folder = temporaryFolder('serve') } = {}) {
  const config = path.join(folder, 'fanwire.serve.toml');
  writeFileSync(config, settings);
  const data = temporaryFolder('data');
  const launched = launch(['serve', project, '--config', config, '--data', data, '--json'], { env });
  const line = await launched.lines.find((text) => text.includes('"type":"ready"'), 'fanwire serve is ready');
  const ready = JSON.parse(line);
  // Where clients connect: the first listener.
  const [place] = ready.listeners;
  const port = Number(/:(\d+)$/.exec(place)?.[1]);
  return {
    ...launched,
    folder,
    data,
    ready,
    port,
    /** Waits until something is said with `part` in it. */
    said: (part) => launched.lines.find((text) => text.includes(part), `fanwire serve says ${part}`),
    async stop() {
      launched.child.kill('SIGINT');
      return launched.exited;
    },
  };
}
