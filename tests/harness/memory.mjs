// What a server takes of the machine.

import { readFile } from 'node:fs/promises';

export const MB = 1024 * 1024;

/** The resident memory of a server, in bytes. */
export async function memory({ pid }) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
}
