// The store of the Rust crate on a DynamoDB that is none of ours: dynalite, which keeps its tables in LevelDB. The Rust
// tests run on the embedded one by themselves.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { promisify } from 'node:util';

import dynalite from 'dynalite';

import { ROOT } from '../harness/fanwire.mjs';

// Of the whole workspace, so that what is built is what `cargo test` has built.
const TESTS = ['test', '--locked', '--workspace', '--features', 'fanwire/client', '--test', 'store', '--', 'dynamodb::'];

test('the DynamoDB store of the Rust crate does on dynalite what stores do', async () => {
  const tables = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
  tables.listen(0, '127.0.0.1');
  await once(tables, 'listening');
  const env = { ...process.env, FANWIRE_TEST_DYNAMODB: `http://127.0.0.1:${tables.address().port}` };
  try {
    const tests = promisify(execFile)('cargo', TESTS, { cwd: ROOT, env, maxBuffer: 1 << 24 });
    const { stdout } = await tests.catch((error) => assert.fail(`${error.stdout}\n${error.stderr}`));
    assert.match(stdout, /ok\. 5 passed/);
  } finally {
    tables.close();
  }
});
