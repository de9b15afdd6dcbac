// The @connections API: raw HTTP, AWS SDK for JavaScript v3 and v2.

import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  GoneException,
  PayloadTooLargeException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

import { app, start } from '../harness/fanwire.mjs';
import { connect } from '../harness/websocket.mjs';

const require = createRequire(import.meta.url);
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1';
const AWS = require('aws-sdk');

const ID = /^[A-Za-z0-9_-]{15}=$/;
/** Well-formed, and of no connection. */
const UNKNOWN = 'AAAAAAAAAAAAAAA=';

let server;
before(async () => {
  server = await start(app('contract'));
});
after(() => server.stop());

async function identified(options) {
  const client = await connect(server.url(), options);
  const { connectionId } = JSON.parse(await client.ask('who am I'));
  return { client, id: connectionId };
}

/** One HTTP request with the path exactly as given. */
const http1 = (method, path, body, headers = {}) =>
  new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port: server.port, method, path, headers, agent: false },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({
          status: response.statusCode,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });

const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
const v3 = (endpoint = server.management()) =>
  new ApiGatewayManagementApiClient({ endpoint, region: 'eu-west-1', credentials });
const v2 = (endpoint = server.management()) =>
  new AWS.ApiGatewayManagementApi({ apiVersion: '2018-11-29', endpoint, region: 'eu-west-1', credentials });

describe('over HTTP', { concurrency: true }, () => {
  for (const prefix of ['/dev', '']) {
    for (const at of ['@', '%40']) {
      for (const equals of ['=', '%3D', '%3d']) {
        test(`POST ${prefix}/${at}connections/…${equals} delivers one text message`, async () => {
          const { client, id } = await identified();
          const path = `${prefix}/${at}connections/${id.replace('=', equals)}`;
          const answer = await http1('POST', path, 'hello, é');
          assert.equal(answer.status, 200);
          assert.equal(answer.body, '');
          assert.equal(answer.headers['content-length'], '0');
          assert.match(answer.headers['x-amzn-requestid'], /./);
          assert.ok(answer.headers['x-amz-apigw-id']);
          assert.equal(await client.next(), 'hello, é');
          await client.close();
        });
      }
    }
  }

  test('a doubled slash after the stage is tolerated', async () => {
    const { client, id } = await identified();
    assert.equal((await http1('POST', `/dev//@connections/${encodeURIComponent(id)}`, 'x')).status, 200);
    assert.equal(await client.next(), 'x');
    await client.close();
  });

  test('POST of an empty body delivers an empty message', async () => {
    const { client, id } = await identified();
    assert.equal((await http1('POST', `/dev/@connections/${id}`, '')).status, 200);
    assert.equal(await client.next(), '');
    await client.close();
  });

  test('POST of 128 KB delivers, one byte more is 413', async () => {
    const { client, id } = await identified();
    const most = 'x'.repeat(131_072);
    assert.equal((await http1('POST', `/dev/@connections/${id}`, most)).status, 200);
    assert.equal(await client.next(), most);
    const answer = await http1('POST', `/dev/@connections/${id}`, `${most}x`);
    assert.equal(answer.status, 413);
    assert.equal(answer.headers['x-amzn-errortype'], 'PayloadTooLargeException');
    assert.ok(JSON.parse(answer.body).message);
    await client.close();
  });

  test('POST of bytes that are not UTF-8 is 400', async () => {
    const { client, id } = await identified();
    const answer = await http1('POST', `/dev/@connections/${id}`, Buffer.from([0xc3, 0x28]));
    assert.equal(answer.status, 400);
    assert.equal(answer.headers['x-amzn-errortype'], 'BadRequestException');
    await client.close();
  });

  test('GET tells who is connected since when', async () => {
    const { client, id } = await identified({ headers: { 'User-Agent': 'suite/3' } });
    const answer = await http1('GET', `/dev/@connections/${id}`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const body = JSON.parse(answer.body);
    assert.deepEqual(Object.keys(body).sort(), ['connectedAt', 'identity', 'lastActiveAt']);
    assert.deepEqual(body.identity, { sourceIp: '127.0.0.1', userAgent: 'suite/3' });
    for (const time of [body.connectedAt, body.lastActiveAt]) {
      assert.match(time, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
    }
    assert.ok(Date.parse(body.lastActiveAt) >= Date.parse(body.connectedAt));
    await client.close();
  });

  test('DELETE closes with 1000, for the client and for $disconnect', async () => {
    const { client, id } = await identified();
    const answer = await http1('DELETE', `/dev/@connections/${id}`);
    assert.equal(answer.status, 204);
    assert.equal(answer.body, '');
    assert.deepEqual(await client.end(), { code: 1000, reason: 'Connection Closed Normally' });
    const { requestContext } = await server.printed(
      'DISCONNECT',
      (event) => event.requestContext.connectionId === id,
      'the $disconnect event',
    );
    assert.equal(requestContext.disconnectStatusCode, 1000);
    assert.equal(requestContext.disconnectReason, 'Connection Closed Normally');
    for (const method of ['POST', 'GET', 'DELETE']) {
      assert.equal((await http1(method, `/dev/@connections/${id}`)).status, 410, method);
    }
  });

  for (const method of ['POST', 'GET', 'DELETE']) {
    test(`${method} to an id of nobody is 410 with an empty body`, async () => {
      const answer = await http1(method, `/dev/@connections/${encodeURIComponent(UNKNOWN)}`);
      assert.equal(answer.status, 410);
      assert.equal(answer.headers['x-amzn-errortype'], 'GoneException');
      assert.equal(answer.body, '');
    });

    test(`${method} to a malformed id is 400`, async () => {
      const answer = await http1(method, '/dev/@connections/xyz');
      assert.equal(answer.status, 400);
      assert.equal(answer.headers['x-amzn-errortype'], 'BadRequestException');
      const { message, connectionId, requestId } = JSON.parse(answer.body);
      assert.equal(message, 'Invalid connectionId: xyz');
      assert.equal(connectionId, 'xyz');
      assert.match(requestId, ID);
    });
  }

  test('DELETE closes with the code and reason that it is given', async () => {
    const { client, id } = await identified();
    const at = (query) => `/dev/@connections/${id}?${query}`;
    assert.equal((await http1('DELETE', at('code=1005'))).status, 400);
    assert.equal((await http1('DELETE', at('code=4401&reason=token%20expired'))).status, 204);
    assert.deepEqual(await client.end(), { code: 4401, reason: 'token expired' });
  });

  test('a web page in a browser on this machine is refused', async () => {
    const { client, id } = await identified();
    const from = { Origin: 'https://elsewhere.example' };
    for (const [method, path] of [
      ['POST', `/dev/@connections/${id}`],
      ['DELETE', `/dev/@connections/${id}`],
      ['POST', '/2015-03-31/functions/contract-dev-message/invocations'],
    ]) {
      const answer = await http1(method, path, method === 'POST' ? '{}' : '', from);
      assert.equal(answer.status, 403, path);
    }
    await client.close();
  });

  test('another stage is 403', async () => {
    const { client, id } = await identified();
    const answer = await http1('POST', `/prod/@connections/${id}`, 'x');
    assert.equal(answer.status, 403);
    assert.equal(answer.headers['x-amzn-errortype'], 'ForbiddenException');
    assert.equal(answer.body, '{"message":"Forbidden"}');
    await client.close();
  });

  test('posts made one after the other arrive in order', async () => {
    const { client, id } = await identified();
    for (let index = 0; index < 50; index += 1) {
      assert.equal((await http1('POST', `/dev/@connections/${id}`, String(index))).status, 200);
    }
    for (let index = 0; index < 50; index += 1) assert.equal(await client.next(), String(index));
    await client.close();
  });
});

describe('AWS SDK for JavaScript v3', { concurrency: true }, () => {
  for (const [what, endpoint] of [
    ['with the stage', () => server.management()],
    ['with the stage and a slash', () => `${server.management()}/`],
    ['without the stage', () => `http://${server.host}`],
  ]) {
    test(`posts, gets and deletes ${what} in its endpoint`, async () => {
      const { client, id } = await identified();
      const sdk = v3(endpoint());
      const posted = await sdk.send(new PostToConnectionCommand({ ConnectionId: id, Data: 'v3' }));
      assert.equal(posted.$metadata.httpStatusCode, 200);
      assert.ok(posted.$metadata.requestId);
      assert.equal(await client.next(), 'v3');
      const connection = await sdk.send(new GetConnectionCommand({ ConnectionId: id }));
      assert.ok(connection.ConnectedAt instanceof Date);
      assert.ok(connection.LastActiveAt instanceof Date);
      assert.equal(connection.Identity.SourceIp, '127.0.0.1');
      const deleted = await sdk.send(new DeleteConnectionCommand({ ConnectionId: id }));
      assert.equal(deleted.$metadata.httpStatusCode, 204);
      assert.equal((await client.end()).code, 1000);
    });
  }

  test('sees GoneException', async () => {
    await assert.rejects(
      v3().send(new PostToConnectionCommand({ ConnectionId: UNKNOWN, Data: 'x' })),
      (error) => error instanceof GoneException && error.name === 'GoneException'
        && error.$metadata.httpStatusCode === 410,
    );
  });

  test('sees PayloadTooLargeException', async () => {
    await assert.rejects(
      v3().send(new PostToConnectionCommand({ ConnectionId: UNKNOWN, Data: 'x'.repeat(131_073) })),
      (error) => error instanceof PayloadTooLargeException,
    );
  });

  test('sees BadRequestException', async () => {
    await assert.rejects(
      v3().send(new PostToConnectionCommand({ ConnectionId: 'xyz', Data: 'x' })),
      (error) => error.name === 'BadRequestException' && /Invalid connectionId: xyz/.test(error.message),
    );
  });

  test('posts from a handler that names no endpoint', async () => {
    const { client } = await identified();
    assert.equal(await client.ask({ action: 'post', data: 'from the handler' }), 'from the handler');
    await client.close();
  });

  test('posts from a handler to another connection', async () => {
    const sender = await identified();
    const receiver = await identified();
    sender.client.send({ action: 'post', to: receiver.id, data: 'across' });
    assert.equal(await receiver.client.next(), 'across');
    await Promise.all([sender.client.close(), receiver.client.close()]);
  });

  test('sees GoneException inside $connect, for the connection being made', async () => {
    const client = await connect(server.url('?post=self'));
    const { connectionId } = JSON.parse(await client.ask('who am I'));
    const outcomes = await server.printed('SELF', (each) => each.connectionId === connectionId, 'the outcomes');
    assert.deepEqual(outcomes, { connectionId, post: 'gone', get: 'gone', delete: 'gone' });
    await client.close();
  });
});

describe('AWS SDK for JavaScript v2', { concurrency: true }, () => {
  test('posts, gets and deletes', async () => {
    const { client, id } = await identified();
    await v2().postToConnection({ ConnectionId: id, Data: 'v2' }).promise();
    assert.equal(await client.next(), 'v2');
    const connection = await v2().getConnection({ ConnectionId: id }).promise();
    assert.ok(connection.ConnectedAt instanceof Date);
    assert.ok(connection.LastActiveAt instanceof Date);
    assert.equal(connection.Identity.SourceIp, '127.0.0.1');
    await v2().deleteConnection({ ConnectionId: id }).promise();
    assert.equal((await client.end()).code, 1000);
  });

  test('sees statusCode 410 and code GoneException', async () => {
    await assert.rejects(
      v2().postToConnection({ ConnectionId: UNKNOWN, Data: 'x' }).promise(),
      (error) => error.statusCode === 410 && error.code === 'GoneException',
    );
  });

  test('sees PayloadTooLargeException', async () => {
    await assert.rejects(
      v2().postToConnection({ ConnectionId: UNKNOWN, Data: 'x'.repeat(131_073) }).promise(),
      (error) => error.statusCode === 413 && error.code === 'PayloadTooLargeException',
    );
  });

  test('posts from a handler that takes its endpoint from the environment', async () => {
    const { client } = await identified();
    assert.equal(await client.ask({ action: 'post-v2', data: 'from v2' }), 'from v2');
    await client.close();
  });
});
