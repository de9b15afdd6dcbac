// The AWS SDK for Rust in a handler, with its stock configuration: DynamoDB from the
// environment, the gateway at the address that the event tells.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT, app, start } from '../harness/fanwire.mjs';
import { connect } from '../harness/websocket.mjs';

/** `./test` has built the handler there, beside the example's. */
const CARGO_TARGET_DIR = path.join(ROOT, 'examples/rust/target');

let server;
before(async () => {
  server = await start(app('rust'), { env: { CARGO_TARGET_DIR } });
});
after(() => server?.stop());

const ask = async (client, message) => JSON.parse(await client.ask(JSON.stringify(message)));

describe('the AWS SDK for Rust', () => {
  test('stores and finds items, and gets the exceptions that it knows', async () => {
    const client = await connect(server.url());
    assert.equal(await ask(client, { do: 'put', pk: 'a', sk: 'one' }), 'put');
    assert.equal(await ask(client, { do: 'put', pk: 'a', sk: 'one' }), 'taken');
    assert.equal(await ask(client, { do: 'transact', pk: 'a', sks: ['other', 'only'] }), 'all put');
    assert.deepEqual(
      await ask(client, { do: 'transact', pk: 'a', sks: ['new', 'one'] }),
      ['None', 'ConditionalCheckFailed'],
    );
    assert.deepEqual(await ask(client, { do: 'query', pk: 'a', start: 'o' }), ['one', 'only', 'other']);
    assert.deepEqual(await ask(client, { do: 'query', pk: 'a', start: 'ot' }), ['other']);
  });

  test('posts to https://{domainName}/{stage}, as handlers hard-code it', async () => {
    const client = await connect(server.url());
    const message = JSON.stringify({ action: 'post', text: 'back to me' });
    assert.equal(await client.ask(message), message);
  });
});
