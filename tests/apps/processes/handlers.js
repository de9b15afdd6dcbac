'use strict';

const { spawn } = require('node:child_process');

const show = (marker, value) => console.log(`${marker} ${JSON.stringify(value)}`);

exports.pid = async () => ({ pid: process.pid });

/** Waits at the test's gate, deaf to polite requests, with a child of its own. */
exports.busy = async ({ gate }) => {
  process.on('SIGTERM', () => {});
  process.on('SIGINT', () => {});
  const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
  show('BUSY', { pid: process.pid, child: child.pid });
  await fetch(gate);
};

exports.spin = async () => {
  show('SPIN', { pid: process.pid });
  // One turn of the event loop lets the line out before the loop begins.
  await new Promise((resolve) => setImmediate(resolve));
  for (;;);
};
