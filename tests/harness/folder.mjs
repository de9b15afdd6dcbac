// Folders that go when the tests do.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const folders = new Set();
process.on('exit', () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A new folder for `what`, removed when this process ends. */
export function temporaryFolder(what) {
  const folder = mkdtempSync(path.join(os.tmpdir(), `fanwire-${what}-`));
  folders.add(folder);
  return folder;
}
