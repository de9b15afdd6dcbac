// SAM templates, with pages in two browsers: the example as it is, and an app with SAM's own type of API, an authorizer,
// and parameters that samconfig.toml gives.

import assert from 'node:assert/strict';
import { cpSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { ROOT, app, example, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { connect, refused } from '../harness/websocket.mjs';

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
});
after(() => browser?.close());

describe('the SAM chat example', () => {
  let server;
  before(async () => {
    server = await start(example('sam-chat'));
  });
  after(() => server?.stop());

  test('two people in browsers hear each other, over a hard-coded callback URL', async () => {
    const page = pathToFileURL(path.join(example('sam-chat'), 'index.html'));
    const tab = async (name) => {
      page.search = new URLSearchParams({ name, server: server.url() });
      const opened = await (await browser.newContext()).newPage();
      await opened.goto(page.href);
      await opened.locator('button:enabled').waitFor();
      return opened;
    };
    const say = async (on, text) => {
      await on.locator('input').fill(text);
      await on.locator('button').click();
    };
    const [ada, grace] = [await tab('Ada'), await tab('Grace')];
    await say(ada, 'hello');
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await say(grace, 'hi');
    for (const each of [ada, grace]) await each.getByText('Grace: hi').waitFor();
    await Promise.all([ada, grace].map((each) => each.close()));
  });

  test('is talked with from a terminal, as its README says', async () => {
    const ada = await connect(server.url('?name=Ada'));
    ada.send({ action: 'say', text: 'hello' });
    assert.deepEqual(await ada.json(), { from: 'Ada', text: 'hello' });
    await ada.close();
  });
});

describe('a SAM app with an authorizer and parameters', () => {
  let server;
  before(async () => {
    server = await start(app('sam'));
  });
  after(() => server?.stop());
  const query = (values) => `?${new URLSearchParams(values)}`;

  test('lets two browsers with a pass talk in their room, and answers with a stage variable', async () => {
    const tab = async (name, room) => {
      const page = await (await browser.newContext()).newPage();
      await page.evaluate((url) => new Promise((resolve, reject) => {
        globalThis.heard = [];
        globalThis.socket = new WebSocket(url);
        globalThis.socket.onopen = resolve;
        globalThis.socket.onerror = reject;
        globalThis.socket.onmessage = ({ data }) => document.body.append(data, document.createElement('br'));
      }), server.url(query({ name, pass: `${room}:open sesame` })));
      return page;
    };
    const [ada, grace, other] = [await tab('Ada', 'attic'), await tab('Grace', 'attic'), await tab('Eve', 'kitchen')];
    await ada.evaluate(() => globalThis.socket.send('hello'));
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await ada.getByText('welcome to the test').waitFor();
    await other.evaluate(() => globalThis.socket.send('anyone?'));
    await other.getByText('Eve: anyone?').waitFor();
    assert.equal(await other.getByText('Ada').count(), 0);
    await Promise.all([ada, grace, other].map((each) => each.close()));
  });

  test('refuses who has no pass, or one for a room that samconfig.toml does not name', async () => {
    assert.equal((await refused(server.url('?name=Ada'))).status, 401);
    assert.equal((await refused(server.url(query({ name: 'Ada', pass: 'hall:open sesame' })))).status, 403);
  });
});

test('--param wins over samconfig.toml', async () => {
  const server = await start(app('sam'), { args: ['--param', 'Rooms=hall', '--param', 'Environment=prod', '--param', 'Secret=x'] });
  try {
    assert.match(server.url(), /\/prod$/);
  } finally {
    await server.stop();
  }
});

test('what `check --as toml` prints runs the same app, without its template', async () => {
  const folder = temporaryFolder('native');
  cpSync(path.join(app('sam'), 'src'), path.join(folder, 'src'), { recursive: true });
  symlinkSync(path.join(ROOT, 'tests/node_modules'), path.join(folder, 'node_modules'));
  const { stdout, stderr, status } = await fanwire(['check', '--as', 'toml', app('sam')]);
  assert.equal(status, 0, stderr);
  writeFileSync(path.join(folder, 'fanwire.toml'), stdout);
  const server = await start(folder);
  try {
    const pass = 'attic:open sesame';
    const ada = await connect(server.url(`?${new URLSearchParams({ name: 'Ada', pass })}`));
    ada.send('hello');
    assert.deepEqual(new Set([await ada.next(), await ada.next()]), new Set(['Ada: hello', 'welcome to the test']));
    assert.equal((await refused(server.url())).status, 401);
    await ada.close();
  } finally {
    await server.stop();
  }
});

test('code in the template itself runs, in Node and in Python', async () => {
  const folder = temporaryFolder('inline');
  const code = (lines) => lines.map((line) => `          ${line}`).join('\n');
  const integrated = (name, route) => `
  ${name}Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      ApiId: !Ref Api
      IntegrationType: AWS_PROXY
      IntegrationUri: !Sub arn:aws:apigateway:\${AWS::Region}:lambda:path/2015-03-31/functions/\${${name}.Arn}/invocations
  ${name}Route:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      ApiId: !Ref Api
      RouteKey: ${route}
      RouteResponseSelectionExpression: $default
      Target: !Sub integrations/\${${name}Integration}
  ${name}Response:
    Type: AWS::ApiGatewayV2::RouteResponse
    Properties: {ApiId: !Ref Api, RouteId: !Ref ${name}Route, RouteResponseKey: $default}
`;
  writeFileSync(path.join(folder, 'template.yaml'), `AWSTemplateFormatVersion: 2010-09-09
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: inline, ProtocolType: WEBSOCKET, RouteSelectionExpression: $request.body.to}
  Stage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Api, StageName: test, AutoDeploy: true}
  Node:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      Role: arn:aws:iam::000000000000:role/any
      Code:
        ZipFile: |
${code(["exports.handler = async ({ body }) => ({ statusCode: 200, body: `node: ${JSON.parse(body).text}` });"])}
  Python:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Role: arn:aws:iam::000000000000:role/any
      Code:
        ZipFile: |
${code(['import json', 'def handler(event, context):', '    return {"statusCode": 200, "body": "python: " + json.loads(event["body"])["text"]}'])}
${integrated('Node', 'node')}${integrated('Python', 'python')}`);
  const server = await start(folder);
  try {
    const client = await connect(server.url());
    for (const to of ['node', 'python']) assert.equal(await client.ask({ to, text: 'hi' }), `${to}: hi`);
    await client.close();
  } finally {
    await server.stop();
  }
});
