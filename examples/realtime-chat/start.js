// Starts `fanwire dev` and the page, as `sst dev` starts an app with its site. Arguments are those of `fanwire dev`.

import { spawn } from 'node:child_process';

import './serve.js';

const dev = spawn('fanwire', ['dev', ...process.argv.slice(2)], { stdio: 'inherit' });
dev.on('error', ({ message }) => {
  console.error(`fanwire dev: ${message}; install Fanwire, or put it on the PATH`);
  process.exit(1);
});
dev.on('exit', (code) => process.exit(code ?? 1));
// Ctrl-C is for both: the page is there until the app has stopped.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => dev.kill());
