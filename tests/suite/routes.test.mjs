// Which route a message takes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { app, start } from '../harness/fanwire.mjs';
import { connect } from '../harness/websocket.mjs';

describe('with $request.body.action and a $default route', { concurrency: true }, () => {
  let server;
  before(async () => {
    server = await start(app('contract'));
  });
  after(() => server.stop());

  for (const [what, message, route] of [
    ['an action that names a route', { action: 'echo' }, 'echo'],
    ['a number that names a route', { action: 7 }, '7'],
    ['a boolean that names a route', { action: true }, 'true'],
    ['an action in another case', { action: 'ECHO' }, '$default'],
    ['an action that names no route', { action: 'nowhere' }, '$default'],
    ['a message without an action', { data: 1 }, '$default'],
    ['an action that is an object', { action: { echo: 1 } }, '$default'],
    ['an action that is an array', { action: ['echo'] }, '$default'],
    ['text that is not JSON', 'echo', '$default'],
    ['broken JSON', '{"action":"echo"', '$default'],
    ['JSON with something after it', '{"action":"echo"} more', '$default'],
    ['an empty message', '', '$default'],
    ['a JSON string', '"echo"', '$default'],
    ['a JSON number', '7', '$default'],
    ['a JSON array', '["echo"]', '$default'],
    ['JSON null', 'null', '$default'],
    ['the action $connect', { action: '$connect' }, '$default'],
    ['the action $disconnect', { action: '$disconnect' }, '$default'],
    ['the action $default', { action: '$default' }, '$default'],
    ['an action with an escape', '{"action":"\\u0065cho"}', 'echo'],
    ['white space around JSON', ' \n{"action" : "echo"}\t', 'echo'],
  ]) {
    test(`${what} goes to ${route}`, async () => {
      const client = await connect(server.url());
      const answer = JSON.parse(await client.ask(message));
      assert.equal(answer.route, route);
      assert.equal(answer.body, typeof message === 'string' ? message : JSON.stringify(message));
      await client.close();
    });
  }
});

/** Messages and the route that each selects; `undefined` is the Forbidden frame. */
const TABLES = [
  ['${request.body.service}/${request.body.action}', [
    [{ service: 'chat', action: 'send' }, 'chat/send'],
    [{ service: 'chat', action: 'other' }, undefined],
    [{ service: 'chat' }, undefined],
    ['not JSON', undefined],
  ]],
  ['join-${request.body.room}', [
    [{ room: '' }, 'join-'],
    [{}, 'join-'],
    [{ room: 'x' }, undefined],
  ]],
  ['$request.body.a.b', [
    [{ a: { b: 'first' } }, 'first'],
    [{ a: { b: 1.5 } }, '1.5'],
    [{ a: { b: false } }, 'false'],
    [{ a: 'first' }, undefined],
    [{ 'a.b': 'first' }, undefined],
  ]],
  ['$request.body.list[0].key', [
    [{ list: [{ key: 'first' }, { key: 'always' }] }, 'first'],
    [{ list: [] }, undefined],
  ]],
  ['${request.body.action}', [
    [{ action: 'always' }, 'always'],
    [{ action: 2 }, undefined],
  ]],
  ['always', [
    [{ action: 'first' }, 'always'],
    ['not JSON', 'always'],
  ]],
];

describe('without a $default route', { concurrency: 2 }, () => {
  for (const [selection, rows] of TABLES) {
    test(`${selection} selects as API Gateway does, and sends Forbidden for the rest`, async () => {
      const server = await start(app('selection'), { args: ['--param', `selection=${selection}`] });
      try {
        // There is no $connect route either: the connection is accepted all the same.
        const client = await connect(server.url());
        for (const [message, route] of rows) {
          const answer = await client.ask(message);
          if (route === undefined) {
            const { connectionId, requestId } = JSON.parse(answer);
            assert.equal(
              answer,
              `{"message": "Forbidden", "connectionId":"${connectionId}", "requestId":"${requestId}"}`,
              JSON.stringify(message),
            );
            assert.match(connectionId, /^[A-Za-z0-9_-]{15}=$/);
            assert.match(requestId, /^[A-Za-z0-9_-]{15}=$/);
          } else {
            assert.equal(answer, route, JSON.stringify(message));
          }
        }
        await client.close();
      } finally {
        await server.stop();
      }
    });
  }
});
