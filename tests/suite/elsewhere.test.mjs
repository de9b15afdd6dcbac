// Functions that Fanwire does not bring a runtime for: commands that speak the
// Runtime API, URLs, other Lambda endpoints; and HTTP backends behind routes.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';

import { app, start } from '../harness/fanwire.mjs';
import { Feed } from '../harness/patience.mjs';
import { connect, refused } from '../harness/websocket.mjs';

let backend;
let contract;
let native;
let server;
let folder;
const requests = new Feed();

before(async () => {
  backend = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      requests.push({ method: request.method, url: request.url, headers: request.headers, body });
      answer(request, response, body);
    });
  });
  await new Promise((resolve) => backend.listen(0, '127.0.0.1', resolve));
  [contract, native] = await Promise.all([start(app('contract')), start(app('native'))]);
  folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-elsewhere-'));
  const url = `http://127.0.0.1:${backend.address().port}`;
  await writeFile(path.join(folder, 'fanwire.toml'), `
name = "elsewhere"
region = "eu-west-1"

[functions.url]
url = "${url}/function"

[functions.urlFails]
url = "${url}/status/500"

[functions.urlNowhere]
url = "http://127.0.0.1:1/"

[functions.far]
arn = "arn:aws:lambda:eu-west-1:123456789012:function:contract-dev-echo"
endpoint = "http://${contract.host}"

[functions.farFailure]
arn = "arn:aws:lambda:eu-west-1:123456789012:function:contract-dev-failure"
endpoint = "http://${contract.host}"

[functions.farNobody]
arn = "arn:aws:lambda:eu-west-1:123456789012:function:nobody"
endpoint = "http://${contract.host}"

[websocket]
[websocket.stage_variables]
host = "127.0.0.1:${backend.address().port}"
[websocket.routes]
url = { function = "url", response = true }
far = { function = "far", response = true }
far-nobody = { function = "farNobody", response = true }
[websocket.routes."$connect".http]
url = "http://\${stageVariables.host}/connect"
method = "PUT"
[websocket.routes."$connect".http.request_parameters]
"integration.request.header.X-Connection" = "context.connectionId"
"integration.request.header.X-Token" = "route.request.header.Token"
"integration.request.querystring.room" = "route.request.querystring.room"
"integration.request.header.X-Static" = "'static'"
[websocket.routes.backend]
response = true
[websocket.routes.backend.http]
url = "http://\${stageVariables.host}/backend"
timeout = "500ms"
[websocket.routes.backend.http.request_parameters]
"integration.request.header.X-Connection" = "context.connectionId"
"integration.request.header.X-Name" = "route.request.body.name"
[websocket.routes.backend-one-way.http]
url = "http://\${stageVariables.host}/backend"
[websocket.routes.nowhere]
response = true
[websocket.routes.nowhere.http]
url = "http://127.0.0.1:1/"
`);
  server = await start(folder);
});
after(async () => {
  await Promise.all([contract, native, server].map((each) => each?.stop()));
  backend.closeAllConnections();
  backend.close();
  await rm(folder, { recursive: true });
});

/** What the backend says to each path. */
function answer(request, response, body) {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  if (pathname === '/function') {
    const event = JSON.parse(body);
    const result = { statusCode: 200, body: `url got ${event.requestContext?.routeKey}` };
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify(result));
  } else if (pathname === '/connect') {
    response.statusCode = searchParams.get('room') === 'closed' ? 401 : 200;
    response.end();
  } else if (pathname === '/backend' && body.includes('silence')) {
    // Never answers.
  } else if (pathname === '/backend' && body.includes('teapot')) {
    response.statusCode = 418;
    response.end('short and stout');
  } else if (pathname === '/backend') {
    response.end(`backend got ${body}`);
  } else {
    response.statusCode = 500;
    response.end('broken');
  }
}

async function invoke(target, name, payload) {
  const lambda = new LambdaClient({
    endpoint: `http://${target.host}`, region: 'eu-west-1', maxAttempts: 1,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }),
  );
  return { error: FunctionError, value: JSON.parse(Buffer.from(Payload).toString()) };
}

const connection = () => connect(server.url('?room=open'), { headers: { Token: 'secret' } });

describe('a command that speaks the Runtime API', { concurrency: true }, () => {
  test('is awslambdaric, unmodified', async () => {
    const { value } = await invoke(native, 'native-dev-ric', { name: 'you' });
    assert.equal(value.hello, 'you');
    assert.match(value.request, /^[0-9a-f-]{36}$/);
    assert.match(value.arn, /^arn:aws:lambda:eu-west-1:\d{12}:function:native-dev-ric$/);
  });

  test('answers its error', async () => {
    const { error, value } = await invoke(native, 'native-dev-ric', { how: 'raise' });
    assert.equal(error, 'Unhandled');
    assert.equal(value.errorType, 'ValueError');
    assert.equal(value.errorMessage, 'no such thing');
  });

  test('is killed when it takes too long, and replaced', async () => {
    const { error, value } = await invoke(native, 'native-dev-ric', { how: 'never' });
    assert.equal(error, 'Unhandled');
    assert.match(value.errorMessage, /Task timed out after 2\.00 seconds/);
    assert.equal((await invoke(native, 'native-dev-ric', { name: 'again' })).value.hello, 'again');
  });

  for (const [name, words] of [['noCommand', /no-such-program/], ['noBuild', /exit (status|code)\D*9|build/i]]) {
    test(`that cannot start ("${name}") fails with what went wrong`, async () => {
      const { error, value } = await invoke(native, `native-dev-${name}`, {});
      assert.equal(error, 'Unhandled');
      assert.match(value.errorMessage, words);
    });
  }
});

describe('a function behind a URL', { concurrency: true }, () => {
  test('gets the event and answers the result', async () => {
    const client = await connection();
    assert.equal(await client.ask({ action: 'url' }), 'url got url');
    await client.close();
  });

  for (const [what, name] of [['answers 500', 'urlFails'], ['nobody serves', 'urlNowhere']]) {
    test(`that ${what} is a ServiceException that names the function and the URL`, async () => {
      await assert.rejects(invoke(server, `elsewhere-dev-${name}`, {}), (error) =>
        error.name === 'ServiceException' && error.message.includes(name) && error.message.includes('http://127.0.0.1:'));
    });
  }
});

describe('a function behind another Lambda endpoint', { concurrency: true }, () => {
  test('gets the event and answers the result', async () => {
    const client = await connection();
    assert.equal(JSON.parse(await client.ask({ action: 'far' })).route, 'far');
    await client.close();
  });

  test('that fails, fails here with the same payload', async () => {
    const { error, value } = await invoke(server, 'elsewhere-dev-farFailure', { how: 'throw' });
    assert.equal(error, 'Unhandled');
    assert.equal(value.errorType, 'OrderError');
  });

  test('that is not there is an error frame', async () => {
    const client = await connection();
    assert.equal(JSON.parse(await client.ask({ action: 'far-nobody' })).message, 'Internal server error');
    await client.close();
  });
});

describe('an HTTP backend', { concurrency: true }, () => {
  test('decides about the handshake, with the parameters that are mapped to it', async () => {
    const client = await connection();
    const request = await requests.find(({ url }) => url === '/connect?room=open', 'a request for $connect');
    assert.equal(request.method, 'PUT');
    assert.equal(request.headers['x-token'], 'secret');
    assert.equal(request.headers['x-static'], 'static');
    assert.match(request.headers['x-connection'], /^[A-Za-z0-9_-]{15}=$/);
    await client.close();
    assert.equal((await refused(server.url('?room=closed'))).status, 401);
  });

  test('gets the message as it is, and its body is the answer', async () => {
    const client = await connection();
    const message = '{"action":"backend",  "name":"Ada"}';
    assert.equal(await client.ask(message), `backend got ${message}`);
    const request = await requests.find(({ body }) => body === message, 'the request');
    assert.equal(request.method, 'POST');
    assert.equal(request.headers['x-name'], 'Ada');
    assert.match(request.headers['x-connection'], /^[A-Za-z0-9_-]{15}=$/);
    await client.close();
  });

  test('is heard on a one-way route by nobody', async () => {
    const client = await connection();
    client.send({ action: 'backend-one-way', mark: 'one-way' });
    await requests.find(({ body }) => body.includes('one-way') && body.includes('mark'), 'the request');
    assert.match(await client.ask({ action: 'backend', text: 'two-way' }), /two-way/);
    assert.equal(client.pending, 0);
    await client.close();
  });

  test('that answers 4xx is heard like any other', async () => {
    const client = await connection();
    assert.equal(await client.ask({ action: 'backend', text: 'teapot' }), 'short and stout');
    await client.close();
  });

  for (const [what, message] of [
    ['never answers', { action: 'backend', text: 'silence' }],
    ['is not there', { action: 'nowhere' }],
  ]) {
    test(`that ${what} is an error frame`, async () => {
      const client = await connection();
      const frame = JSON.parse(await client.ask(message));
      assert.ok(frame.message && frame.connectionId && frame.requestId);
      await client.close();
    });
  }
});
