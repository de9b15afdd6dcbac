// The store of the Rust crate on two DynamoDBs that have nothing in common: the embedded one,
// and dynalite, which keeps its tables in LevelDB.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import dynalite from 'dynalite';

import { ROOT, app, start } from '../harness/fanwire.mjs';

const TESTS = ['test', '--locked', '-p', 'fanwire', '--features', 'dynamodb', '--test', 'store'];

/** Runs the Rust tests that need a DynamoDB. They say how many they are. */
async function run(endpoint) {
  const env = { ...process.env, FANWIRE_TEST_DYNAMODB: endpoint };
  const options = { cwd: ROOT, env, maxBuffer: 1 << 24 };
  const tests = promisify(execFile)('cargo', [...TESTS, '--', '--ignored', 'dynamodb::'], options);
  const { stdout } = await tests.catch((error) => assert.fail(`${error.stdout}\n${error.stderr}`));
  assert.match(stdout, /ok\. 3 passed/);
}

describe('the DynamoDB store of the Rust crate', () => {
  let server;
  before(async () => {
    server = await start(app('dynamodb'));
  });
  after(() => server?.stop());

  test('does on the embedded DynamoDB what stores do', () => run(`http://${server.host}`));

  test('does the same on dynalite', async () => {
    const other = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      await run(`http://127.0.0.1:${other.address().port}`);
    } finally {
      other.close();
    }
  });
});
