// Keys and tokens, asked for by `fanwire serve`: AWS's SDKs for JavaScript and Python, the command line, and handlers that
// have nothing configured. What AWS's crate for Rust signs is in crates/fanwire-server/tests/guard.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import {
  ApiGatewayManagementApiClient, DeleteConnectionCommand, GetConnectionCommand, PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';

import { ROOT, app, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const TOKEN = 'a token of some length';
const KEYS = path.join(temporaryFolder('keys'), 'keys.toml');
const PYTHON = path.join(ROOT, '.cache/venv/bin/python');

const key = (name, secret) => `[keys.${name}]\nid = "AKIDROTATED"\nsecret = "${secret}"\nallow = ["dynamodb:ListTables"]\n`;

/** Changes the file of keys at once, as who rotates keys should. */
function keysBecome(text) {
  writeFileSync(`${KEYS}.new`, text);
  renameSync(`${KEYS}.new`, KEYS);
}

let server;
before(async () => {
  keysBecome('');
  const env = { KEYS_FILE: KEYS, BACKEND_SECRET: SECRET, OPS_TOKEN: TOKEN };
  server = await start(app('access'), { command: 'serve', env });
});
after(async () => {
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(server.stderr, /panicked/);
});

const backend = { accessKeyId: 'AKIDBACKEND', secretAccessKey: SECRET };
const settings = (credentials) => ({ endpoint: `http://${server.host}`, region: 'eu-west-1', maxAttempts: 1, credentials });
const gateway = (credentials = backend) =>
  new ApiGatewayManagementApiClient({ ...settings(credentials), endpoint: `http://${server.host}/dev` });
const lambda = (credentials = backend) => new LambdaClient(settings(credentials));
const iot = (credentials = backend) => new IoTDataPlaneClient(settings(credentials));
const dynamodb = (credentials = backend) => new DynamoDBClient(settings(credentials));
const UNKNOWN = 'AAAAAAAAAAAAAAA=';

/** One call to each API, by credentials. */
const CALLS = {
  '@connections': (credentials) => gateway(credentials).send(new GetConnectionCommand({ ConnectionId: UNKNOWN })),
  Invoke: (credentials) => lambda(credentials).send(new InvokeCommand({ FunctionName: 'greet' })),
  'the IoT data plane': (credentials) => iot(credentials).send(new PublishCommand({ topic: 'orders/1', payload: 'x' })),
  DynamoDB: (credentials) => dynamodb(credentials).send(new ListTablesCommand({})),
};

describe('the AWS SDK for JavaScript', { concurrency: 4 }, () => {
  for (const [api, call] of Object.entries(CALLS)) {
    test(`calls ${api} with a key`, async () => {
      if (api === '@connections') await assert.rejects(call(backend), { name: 'GoneException' });
      else await call(backend);
    });
    for (const [what, credentials, name] of [
      ['a wrong secret', { ...backend, secretAccessKey: 'wrong' }, 'InvalidSignatureException'],
      ['an unknown key', { ...backend, accessKeyId: 'AKIDUNKNOWN' }, 'UnrecognizedClientException'],
      ['a session token that is not its own', { ...backend, sessionToken: 'mine' }, 'UnrecognizedClientException'],
      ['a key that is over', { ...backend, accessKeyId: 'AKIDOVER' }, 'ExpiredTokenException'],
    ]) {
      test(`is refused by ${api} with ${what}`, async () => {
        const error = await call(credentials).then(() => assert.fail('it was answered'), (error) => error);
        assert.equal(error.name, name);
        assert.equal(error.$metadata.httpStatusCode, api === 'DynamoDB' ? 400 : 403);
      });
    }
  }

  test('calls with temporary credentials', async () => {
    const sessionToken = 'a session token of some length';
    await CALLS.DynamoDB({ accessKeyId: 'ASIDTEMPORARY', secretAccessKey: SECRET, sessionToken });
  });

  test('is told which permission is missing', async () => {
    const denied = lambda().send(new InvokeCommand({ FunctionName: 'calls' }));
    await assert.rejects(denied, {
      name: 'AccessDeniedException',
      message: /user\/backend is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-west-1:123456789012:function:access-dev-calls/,
    });
    await assert.rejects(iot().send(new PublishCommand({ topic: 'others', payload: 'x' })), { name: 'ForbiddenException' });
    await server.events.find(({ text }) => /denied: `backend` may not iot:Publish on .*topic\/others/.test(text), 'the denial is told');
  });

  test('reaches a connection and ends it', async () => {
    const client = await connect(server.url());
    client.send('hello');
    assert.deepEqual(await client.json('an answer of the handler'), { greeting: 'hello' });
    const { connections } = await (await fetch(`http://${server.host}/_fanwire/connections`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    })).json();
    const ConnectionId = connections[0].connectionId;
    await gateway().send(new PostToConnectionCommand({ ConnectionId, Data: '{"posted":true}' }));
    assert.deepEqual(await client.json('a post'), { posted: true });
    await gateway().send(new DeleteConnectionCommand({ ConnectionId }));
    await client.closed;
  });
});

test('keys are rotated without a restart, and both are valid in between', async () => {
  const list = (secretAccessKey) => CALLS.DynamoDB({ accessKeyId: 'AKIDROTATED', secretAccessKey }).then(() => true, () => false);
  const [old, fresh] = ['the old secret, which ends', 'the new secret, which comes'];
  keysBecome(key('old', old));
  await eventually(() => list(old), 'the old key is valid');
  keysBecome(key('old', old) + key('new', fresh));
  await eventually(() => list(fresh), 'the new key is valid');
  assert.ok(await list(old));
  keysBecome(key('new', fresh));
  await eventually(async () => !await list(old), 'the old key is over');
  assert.ok(await list(fresh));
});

test('a file of keys that cannot be read changes nothing', async () => {
  keysBecome(key('kept', 'a secret that is kept') + `[tokens.hashed]\nsha256 = "${createHash('sha256').update('hashed token of ours').digest('hex')}"\nallow = ["fanwire:Read"]\n`);
  const hashed = () => fetch(`http://${server.host}/_fanwire/app`, { headers: { authorization: 'Bearer hashed token of ours' } });
  await eventually(async () => (await hashed()).status === 200, 'the token is valid');
  keysBecome('[keys.broken]\nid = 1\n');
  await server.events.find(({ text }) => /file of keys cannot be used/.test(text), 'the fault is told');
  assert.equal((await hashed()).status, 200);
});

test('boto3 calls every API with a key, and is refused with a wrong one', async () => {
  const script = `
import boto3, json, sys
from botocore.config import Config
from botocore.exceptions import ClientError
host, secret = sys.argv[1:]
def client(service, secret, path=""):
    return boto3.client(service, endpoint_url=f"http://{host}{path}", region_name="eu-west-1",
        config=Config(retries={"total_max_attempts": 1}), aws_access_key_id="AKIDBACKEND", aws_secret_access_key=secret)
def said(call):
    try:
        call()
        return "ok"
    except ClientError as error:
        return error.response["Error"]["Code"]
print(json.dumps([[
    said(lambda: client("apigatewaymanagementapi", secret, "/dev").post_to_connection(ConnectionId="${UNKNOWN}", Data=b"x")),
    said(lambda: client("lambda", secret).invoke(FunctionName="greet", Payload=b"{}")),
    said(lambda: client("iot-data", secret).publish(topic="orders/a b/ü", payload=b"x", qos=1)),
    said(lambda: client("dynamodb", secret).put_item(TableName="access-dev-notes", Item={"id": {"S": "1"}})),
] for secret in [secret, "wrong"]]))
`;
  const { stdout } = await promisify(execFile)(PYTHON, ['-c', script, server.host, SECRET]);
  assert.deepEqual(JSON.parse(stdout), [
    ['GoneException', 'ok', 'ok', 'ok'],
    Array(4).fill('InvalidSignatureException'),
  ]);
});

test('the command line shows a token, and may do what the token may', async () => {
  const url = `http://${server.host}`;
  const refused = await fanwire(['connections', '--url', url]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /give a token with --access-token or FANWIRE_TOKEN/);
  assert.equal((await fanwire(['connections', '--url', url, '--access-token', TOKEN])).status, 0);
  const env = { FANWIRE_TOKEN: TOKEN };
  assert.equal((await fanwire(['connections', '--json', '--url', url], { env })).status, 0);
  const denied = await fanwire(['invoke', 'greet', '--url', url], { env });
  assert.match(denied.stderr, /is not authorized to perform: lambda:InvokeFunction/);
});

test('a web page is not answered without a token', async () => {
  const response = await fetch(`http://${server.host}/_fanwire/app`, { headers: { origin: 'https://evil.example' } });
  assert.equal(response.status, 401);
  assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="fanwire"');
});
