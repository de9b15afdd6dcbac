// Handlers reach the gateway, DynamoDB and Lambda by the addresses that they
// have on AWS, through the clients that they use there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ROOT, app, start } from '../harness/fanwire.mjs';
import { connect } from '../harness/websocket.mjs';

let server;
before(async () => {
  server = await start(app('endpoints'), { env: { PATH: `${ROOT}/.cache/venv/bin:${process.env.PATH}` } });
});
after(() => server.stop());

/** What a client is posted by a handler that calls the gateway in one of the ways that `post.js` has names for. */
async function greeted(route, as) {
  const client = await connect(server.url());
  client.send({ action: route, as });
  try {
    return await client.json(`a post by ${route}`);
  } finally {
    await client.close();
  }
}

for (const [name, route] of [
  ['the AWS SDK for JavaScript v3', 'v3'],
  ['the AWS SDK for JavaScript v2', 'v2'],
  ['boto3', 'boto3'],
]) {
  describe(`a handler that uses ${name} with its stock configuration`, { concurrency: true }, () => {
    for (const [address, as] of [
      ['https://{domainName}/{stage}', 'domain'],
      ['https://{apiId}.execute-api.{region}.amazonaws.com/{stage}, from serverless.yml', 'aws'],
      ['https://{apiId}.execute-api.{region}.amazonaws.com/{stage}, from the event', 'aws by the event'],
    ]) {
      test(`reaches DynamoDB, Lambda and ${address}`, async () => {
        assert.deepEqual(await greeted(route, as), { greeting: `hello, ${as}` });
      });
    }
  });
}

describe('a handler that posts with', { concurrency: true }, () => {
  for (const [name, route] of [['fetch()', 'fetch'], ["Node's https", 'https'], ["Python's urllib", 'urllib']]) {
    for (const as of ['domain', 'aws']) {
      test(`${name} reaches the gateway by its ${as} address`, async () => {
        assert.deepEqual(await greeted(route, as), { greeting: `hello, ${as}` });
      });
    }
  }
});

test('aws-sdk v2 reaches the gateway by {domainName}/{stage}, which has no scheme', async () => {
  assert.deepEqual(await greeted('v2', 'domain without a scheme'), { greeting: 'hello, domain without a scheme' });
});

test('the IoT data plane says that it is not served', async () => {
  const response = await fetch(`http://${server.host}/topics/news`, { method: 'POST', body: '{}' });
  assert.equal(response.status, 501);
  assert.match((await response.json()).message, /does not serve the IoT data plane/);
});

test('a call to a service that is not served is left alone, and named once in the log', async () => {
  const client = await connect(server.url());
  for (let call = 0; call < 2; call += 1) client.send({ action: 'unserved' });
  await server.events.count(
    ({ type, text }) => type === 'line' && /UNSERVED/.test(text), 2, 'both calls have failed',
  );
  const named = server.events.items.filter(({ text }) => /calls AWS/.test(text));
  assert.equal(named.length, 1);
  assert.match(named[0].text, /^unserved: calls AWS S3 \(fanwire-test\.s3\.xx-nowhere-1\.amazonaws\.com\), which Fanwire does not serve/);
  await client.close();
});
