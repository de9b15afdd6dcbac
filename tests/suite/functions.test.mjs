// Functions called through the Lambda Invoke API: what they get, what becomes of
// what they answer, and every way to fail.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile, cp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import {
  InvalidRequestContentException,
  InvokeCommand,
  LambdaClient,
  RequestTooLargeException,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';

import { ROOT, app, start } from '../harness/fanwire.mjs';
import { openGate } from '../harness/gate.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let contract;
let languages;
let gate;
before(async () => {
  gate = await openGate();
  [contract, languages] = await Promise.all([start(app('contract')), start(app('languages'))]);
});
after(async () => {
  gate.close();
  await Promise.all([contract.stop(), languages.stop()]);
});

const sdk = (server) =>
  new LambdaClient({
    endpoint: `http://${server.host}`,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  });

/** Invokes a function and decodes what comes back. */
async function invoke(server, name, payload, options = {}) {
  const answer = await sdk(server).send(new InvokeCommand({
    FunctionName: name,
    Payload: payload === undefined ? undefined : JSON.stringify(payload),
    ...options,
  }));
  const text = Buffer.from(answer.Payload ?? []).toString();
  return { ...answer, text, value: text === '' ? undefined : JSON.parse(text) };
}

/** Invokes a function of the contract app that fails, and gives its error payload. */
async function failure(server, name, payload) {
  const answer = await invoke(server, name, payload);
  assert.equal(answer.StatusCode, 200);
  assert.equal(answer.FunctionError, 'Unhandled');
  return answer.value;
}

describe('Invoke', { concurrency: 6 }, () => {
  test('answers 200 with the result, the version and a request id', async () => {
    const answer = await invoke(contract, 'contract-dev-count', {});
    assert.equal(answer.StatusCode, 200);
    assert.equal(answer.FunctionError, undefined);
    assert.equal(answer.ExecutedVersion, '$LATEST');
    assert.match(answer.$metadata.requestId, UUID);
    assert.ok(answer.value.calls >= 1);
  });

  for (const name of [
    'contract-dev-count:$LATEST',
    '123456789012:function:contract-dev-count',
    'arn:aws:lambda:eu-west-1:123456789012:function:contract-dev-count',
    'arn:aws:lambda:eu-west-1:123456789012:function:contract-dev-count:$LATEST',
  ]) {
    test(`finds a function as ${name}`, async () => {
      assert.ok((await invoke(contract, name, {})).value.calls >= 1);
    });
  }

  test('without a payload gives the function an empty object', async () => {
    assert.deepEqual((await invoke(contract, 'contract-dev-context')).value.event, {});
  });

  test('with Event answers 202 at once and runs the function', async () => {
    const answer = await invoke(contract, 'contract-dev-count', { gate: `${gate.url}/event` }, { InvocationType: 'Event' });
    assert.equal(answer.StatusCode, 202);
    assert.equal(answer.text, '');
    await gate.arrived('event');
    gate.release('event');
  });

  test('with DryRun answers 204 and runs nothing', async () => {
    const answer = await invoke(contract, 'contract-dev-count', { gate: `${gate.url}/dry` }, { InvocationType: 'DryRun' });
    assert.equal(answer.StatusCode, 204);
    assert.equal(gate.arrivals('dry'), 0);
  });

  test('with LogType Tail gives the end of the log', async () => {
    const answer = await invoke(contract, 'contract-dev-failure', { how: 'throw' }, { LogType: 'Tail' });
    const log = Buffer.from(answer.LogResult, 'base64').toString();
    assert.match(log, /^START RequestId: \S{36} Version: \$LATEST$/m);
    assert.match(log, /about to fail: throw/);
    assert.match(log, /^END RequestId: \S{36}$/m);
    assert.match(log, /^REPORT RequestId: \S{36}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: \d+ MB\tMax Memory Used: \d+ MB/m);
  });

  test('passes the client context', async () => {
    const ClientContext = Buffer.from(JSON.stringify({ custom: { a: 'b' } })).toString('base64');
    const { value } = await invoke(contract, 'contract-dev-context', {}, { ClientContext });
    assert.deepEqual(value.context.clientContext, { custom: { a: 'b' } });
  });

  test('of an unknown function is ResourceNotFoundException', async () => {
    await assert.rejects(
      invoke(contract, 'nobody', {}),
      (error) => error instanceof ResourceNotFoundException && error.$metadata.httpStatusCode === 404
        && /Function not found: arn:aws:lambda:eu-west-1:\d{12}:function:nobody/.test(error.message),
    );
  });

  test('of a payload that is not JSON is InvalidRequestContentException', async () => {
    await assert.rejects(
      sdk(contract).send(new InvokeCommand({ FunctionName: 'contract-dev-count', Payload: '{not json' })),
      (error) => error instanceof InvalidRequestContentException && error.$metadata.httpStatusCode === 400
        && /Could not parse request body into json/.test(error.message),
    );
  });

  test('of more than 6 MB is RequestTooLargeException', async () => {
    await assert.rejects(
      invoke(contract, 'contract-dev-count', { text: 'x'.repeat(6 * 1024 * 1024) }),
      (error) => error instanceof RequestTooLargeException && error.$metadata.httpStatusCode === 413,
    );
  });

  test('reaches a function from a function that names no endpoint', async () => {
    const { value } = await invoke(contract, 'contract-dev-chain', {
      name: 'contract-dev-failure', payload: { how: 'throw' },
    });
    assert.equal(value.functionError, 'Unhandled');
    assert.equal(value.payload.errorMessage, 'no such order');
  });
});

describe('a process', { concurrency: 2 }, () => {
  test('has one event at a time, and more processes are started for more events', async () => {
    const doors = ['one', 'two', 'three'];
    const answers = doors.map((door) => invoke(contract, 'contract-dev-count', { gate: `${gate.url}/${door}` }));
    await Promise.all(doors.map((door) => gate.arrived(door)));
    doors.forEach((door) => gate.release(door));
    const pids = (await Promise.all(answers)).map(({ value }) => value.pid);
    assert.equal(new Set(pids).size, 3);
  });
});

describe('a Node function', { concurrency: 4 }, () => {
  test('gets Lambda\'s context', async () => {
    const { value: { context }, $metadata } = await invoke(contract, 'contract-dev-context', {});
    assert.equal(context.functionName, 'contract-dev-context');
    assert.equal(context.functionVersion, '$LATEST');
    assert.equal(context.memoryLimitInMB, '512');
    assert.equal(context.logGroupName, '/aws/lambda/contract-dev-context');
    assert.match(context.logStreamName, /^\d{4}\/\d{2}\/\d{2}\/\[\$LATEST\][0-9a-f]{32}$/);
    assert.match(context.invokedFunctionArn, /^arn:aws:lambda:eu-west-1:\d{12}:function:contract-dev-context$/);
    assert.equal(context.awsRequestId, $metadata.requestId);
    assert.equal(context.callbackWaitsForEmptyEventLoop, true);
    assert.ok(context.remaining > 0 && context.remaining <= 5000);
    assert.deepEqual(context.functions, ['done', 'fail', 'getRemainingTimeInMillis', 'succeed']);
  });

  test('gets Lambda\'s environment', async () => {
    const { value: { env, cwd } } = await invoke(contract, 'contract-dev-context', {});
    const expected = {
      _HANDLER: 'handlers.context',
      AWS_LAMBDA_FUNCTION_NAME: 'contract-dev-context',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/contract-dev-context',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_REGION: 'eu-west-1',
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x',
      TZ: ':UTC',
      OWN: 'own',
      FROM_PROVIDER: 'function',
      LAMBDA_TASK_ROOT: app('contract'),
      AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI: contract.management(),
      AWS_ENDPOINT_URL_LAMBDA: `http://${contract.host}`,
      API: `https://${contract.ready.apis[0].id}.execute-api.eu-west-1.amazonaws.com/dev`,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(env[name], value, name);
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_LAMBDA_LOG_STREAM_NAME', 'PATH']) {
      assert.ok(env[name], name);
    }
    assert.equal(env.AWS_LAMBDA_MAX_CONCURRENCY, undefined);
    assert.equal(env.IS_OFFLINE, undefined);
    assert.equal(cwd, app('contract'));
  });

  for (const style of ['callback', 'succeed', 'done']) {
    test(`may answer in the style "${style}"`, async () => {
      assert.deepEqual((await invoke(contract, 'contract-dev-legacy', { style })).value, { style });
    });
  }

  test('that does not want to wait is answered while there is something left to do', async () => {
    const style = 'no-wait';
    assert.deepEqual((await invoke(contract, 'contract-dev-legacyNoWait', { style })).value, { style });
  });

  test('that calls back is answered once nothing is left to do', async () => {
    assert.ok((await invoke(contract, 'contract-dev-legacy', { style: 'wait' })).value.waited >= 1);
  });

  test('that neither returns a promise nor calls back answers null', async () => {
    assert.equal((await invoke(contract, 'contract-dev-legacy', { style: 'drained' })).text, 'null');
  });

  for (const [style, errorType, errorMessage] of [
    ['callback-error', 'TypeError', 'called back'],
    ['callback-text', 'string', 'Unauthorized'],
    ['fail', 'Error', 'failed'],
  ]) {
    test(`may fail in the style "${style}"`, async () => {
      const error = await failure(contract, 'contract-dev-legacy', { style });
      assert.equal(error.errorType, errorType);
      assert.equal(error.errorMessage, errorMessage);
      assert.ok(Array.isArray(error.trace));
    });
  }

  test('that throws answers its error with the trace', async () => {
    const error = await failure(contract, 'contract-dev-failure', { how: 'throw' });
    assert.deepEqual(Object.keys(error).sort(), ['errorMessage', 'errorType', 'trace']);
    assert.equal(error.errorType, 'OrderError');
    assert.equal(error.errorMessage, 'no such order');
    assert.match(error.trace[0], /no such order/);
    assert.match(error.trace.join('\n'), /handlers\.js:\d+/);
  });

  test('that throws text answers it with the type string', async () => {
    assert.deepEqual(
      await failure(contract, 'contract-dev-failure', { how: 'text' }),
      { errorType: 'string', errorMessage: 'just text', trace: [] },
    );
  });

  for (const [how, status] of [['exit', /exit status 7/], ['signal', /signal: killed/]]) {
    test(`that ends by "${how}" answers Runtime.ExitError and the next event has a new process`, async () => {
      const error = await failure(contract, 'contract-dev-failure', { how });
      assert.equal(error.errorType, 'Runtime.ExitError');
      assert.match(error.errorMessage, /^RequestId: \S{36} Error: Runtime exited with error: /);
      assert.match(error.errorMessage, status);
      assert.equal((await invoke(contract, 'contract-dev-failure', { how: 'not at all' })).value, 'fine');
    });
  }

  for (const how of ['never', 'spin']) {
    test(`that takes too long ("${how}") is killed and the next event has a new process`, async () => {
      const error = await failure(contract, 'contract-dev-failure', { how });
      assert.match(error.errorMessage, /^\d{4}-\d{2}-\d{2}T[\d:.]+Z \S{36} Task timed out after 1\.00 seconds$/);
      assert.equal((await invoke(contract, 'contract-dev-failure', { how: 'not at all' })).value, 'fine');
    });
  }

  test('with an exception that nobody catches fails and is replaced', async () => {
    const error = await failure(contract, 'contract-dev-failure', { how: 'uncaught' });
    assert.match(JSON.stringify(error), /nobody catches this|exit status 129/);
    assert.equal((await invoke(contract, 'contract-dev-failure', { how: 'not at all' })).value, 'fine');
  });

  test('with a rejection that nobody handles fails with Runtime.UnhandledPromiseRejection', async () => {
    const error = await failure(contract, 'contract-dev-failure', { how: 'unhandled' });
    assert.equal(error.errorType, 'Runtime.UnhandledPromiseRejection');
    assert.match(error.errorMessage, /nobody handles this/);
    assert.equal((await invoke(contract, 'contract-dev-failure', { how: 'not at all' })).value, 'fine');
  });

  test('with a result that is no JSON fails', async () => {
    const error = await failure(contract, 'contract-dev-failure', { how: 'circular' });
    assert.match(error.errorMessage, /stringify/);
  });

  for (const [name, type, message] of [
    ['broken', 'RangeError', /broken while loading/],
    ['missing', 'Runtime.HandlerNotFound', /handlers\.nowhere is undefined or not exported/],
    ['absent', 'Runtime.ImportModuleError', /absent/],
    ['syntax', 'Runtime.UserCodeSyntaxError', /./],
  ]) {
    test(`that cannot be loaded ("${name}") fails with ${type}, every time`, async () => {
      for (let round = 0; round < 2; round += 1) {
        const error = await failure(contract, `contract-dev-${name}`, {});
        assert.equal(error.errorType, type);
        assert.match(error.errorMessage, message);
      }
    });
  }

  test('may answer up to 6 MB and no more', async () => {
    const most = 6 * 1024 * 1024;
    assert.equal((await invoke(contract, 'contract-dev-large', { bytes: most })).text.length, most);
    const error = await failure(contract, 'contract-dev-large', { bytes: most + 1000 });
    assert.match(error.errorMessage, /payload size/);
    assert.match(error.errorMessage, /6291556/);
  });
});

describe('a handler', { concurrency: 4 }, () => {
  for (const [name, expected] of [
    ['commonjs', 'Hello, you, from CommonJS'],
    ['esm', 'Hello, you, from a module of 6 lines'],
    ['esmTopLevelAwait', 'Hello, you, after a top-level await'],
    ['typescript', 'Hello, you, from friendly TypeScript'],
    ['pythonPackage', 'Hello, you, from a package'],
  ]) {
    test(`written as "${name}" runs`, async () => {
      assert.equal((await invoke(languages, `languages-dev-${name}`, { name: 'you' })).value, expected);
    });
  }

  for (const tool of ['esbuild', 'tsx']) {
    test(`in TypeScript runs where the project has ${tool} only`, async () => {
      const folder = await projectWith(tool);
      try {
        const server = await start(folder);
        try {
          assert.equal((await invoke(server, 'typed-dev-hello', { name: 'you' })).value, 'Hello, you, from friendly TypeScript');
        } finally {
          await server.stop();
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }

  for (const tools of [['esbuild'], ['esbuild', 'tsx']]) {
    test(`in TypeScript uses a package that is there for import alone, with ${tools.join(' and ')}`, async () => {
      const folder = await projectWith(...tools);
      const modern = path.join(folder, 'node_modules/modern');
      await mkdir(modern);
      await writeFile(path.join(modern, 'package.json'), '{"type": "module", "exports": {"./*": {"import": "./*.js"}}}');
      await writeFile(path.join(modern, 'greet.js'), 'export const greet = (name) => `Hello, ${name}, from a module`;');
      await writeFile(path.join(folder, 'node/typed.ts'), [
        'import { greet } from "modern/greet";',
        'export const handler = async (event: { name: string }) => greet(event.name);',
      ].join('\n'));
      try {
        const server = await start(folder);
        try {
          assert.equal((await invoke(server, 'typed-dev-hello', { name: 'you' })).value, 'Hello, you, from a module');
        } finally {
          await server.stop();
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }

  test('in TypeScript runs where the project has no tool at all', async () => {
    const folder = await projectWith();
    try {
      const server = await start(folder);
      try {
        assert.equal((await invoke(server, 'typed-dev-hello', { name: 'you' })).value, 'Hello, you, from friendly TypeScript');
      } finally {
        await server.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('in TypeScript without a tool is what a bundler would make of it', async () => {
    const folder = await projectWith();
    const files = {
      'tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true, "paths": { "@lib/*": ["./lib/*"] } } }',
      'lib/colour.ts': 'export enum Colour { Red = 1, Blue }\nexport namespace Shades { export const dark = Colour.Blue; }\n',
      'lib/index.ts': "export * from './colour';\nexport { common } from './common';\n",
      'lib/common.ts': "import path = require('node:path');\nexport const common = path.basename(__filename) + typeof require;\n",
      'lib/assigned.ts': "const value: number = 5;\nexport = { value };\n",
      'data.json': '{ "text": "from JSON" }',
      'node_modules/modern/package.json': '{"type": "module", "exports": {"./*": {"import": "./*.js"}}}',
      'node_modules/modern/greet.js': 'export const greet = (name) => `Hello, ${name}`;',
      'node_modules/workspace/package.json': '{"main": "main.ts"}',
      'node_modules/workspace/main.ts': 'export const typed = (text: string): string => text + "!";',
      'node/typed.ts': [
        "import { greet } from 'modern/greet';",
        "import { typed } from 'workspace';",
        "import { Shades, common } from '../lib';",
        "import { Colour } from '@lib/colour.js';",
        "import assigned from '../lib/assigned';",
        "import { text } from '../data.json';",
        "import type { Context } from 'nowhere';",
        'const seen: string[] = [];',
        'const note = (_: object, name: string) => { seen.push(name); };',
        'class Greeter { constructor(private readonly name: string) {} @note hello() { return greet(this.name); } }',
        'export const handler = async (event: { name?: string }, _: Context) => {',
        "  if (!event.name) throw new TypeError('no name');",
        "  const later = await import('../lib/index');",
        '  return [new Greeter(event.name).hello(), typed(text), Colour[Shades.dark], common, assigned.value, seen[0], later.Colour.Red];',
        '};',
      ].join('\n'),
    };
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), text);
    }
    try {
      const server = await start(folder);
      try {
        const { value } = await invoke(server, 'typed-dev-hello', { name: 'you' });
        assert.deepEqual(value, ['Hello, you', 'from JSON!', 'Blue', 'common.tsfunction', 5, 'hello', 1]);
        const error = await failure(server, 'typed-dev-hello', {});
        assert.equal(error.errorMessage, 'no name');
        assert.match(error.trace[1], /typed\.ts:12:/, 'the line that the developer wrote');
      } finally {
        await server.stop();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A project of its own, outside this one, with the TypeScript handler and tools for it. */
async function projectWith(...tools) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'fanwire-typescript-'));
  await cp(path.join(app('languages'), 'node'), path.join(folder, 'node'), { recursive: true });
  await writeFile(path.join(folder, 'serverless.yml'), [
    'service: typed',
    'provider: {name: aws, runtime: nodejs20.x}',
    'functions: {hello: {handler: node/typed.handler}}',
  ].join('\n'));
  await mkdir(path.join(folder, 'node_modules'));
  for (const tool of tools) {
    await symlink(path.join(ROOT, 'tests/node_modules', tool), path.join(folder, 'node_modules', tool));
  }
  return folder;
}

describe('a Python function', { concurrency: 3 }, () => {
  test('gets Lambda\'s context and environment', async () => {
    const { value, $metadata } = await invoke(languages, 'languages-dev-python', { name: 'you' });
    assert.equal(value.hello, 'you');
    assert.equal(value.decimal, 1.5);
    assert.ok(value.remaining > 0 && value.remaining <= 5000);
    assert.equal(value.context.aws_request_id, $metadata.requestId);
    assert.equal(value.context.function_name, 'languages-dev-python');
    assert.equal(value.context.function_version, '$LATEST');
    assert.match(value.context.invoked_function_arn, /^arn:aws:lambda:eu-west-1:\d{12}:function:languages-dev-python$/);
    assert.equal(value.context.memory_limit_in_mb, '256');
    assert.equal(value.context.log_group_name, '/aws/lambda/languages-dev-python');
    assert.equal(value.context.client_context, null);
    assert.deepEqual(value.cognito, [null, null]);
    assert.deepEqual(value.env, {
      _HANDLER: 'python/plain.handler',
      AWS_REGION: 'eu-west-1',
      AWS_LAMBDA_FUNCTION_NAME: 'languages-dev-python',
      TZ: ':UTC',
    });
    assert.equal(value.cwd, app('languages'));
  });

  test('that raises answers its error with the stack trace', async () => {
    const error = await failure(languages, 'languages-dev-pythonFailure', { how: 'raise' });
    assert.deepEqual(Object.keys(error).sort(), ['errorMessage', 'errorType', 'requestId', 'stackTrace']);
    assert.equal(error.errorType, 'OrderError');
    assert.equal(error.errorMessage, 'no such order');
    assert.match(error.stackTrace.join(''), /failure\.py", line \d+, in handler/);
  });

  test('that ends its process answers Runtime.ExitError', async () => {
    const error = await failure(languages, 'languages-dev-pythonFailure', { how: 'exit' });
    assert.equal(error.errorType, 'Runtime.ExitError');
    assert.match(error.errorMessage, /exit status 7/);
  });

  test('that takes too long is killed', async () => {
    const error = await failure(languages, 'languages-dev-pythonFailure', { how: 'never' });
    assert.match(error.errorMessage, /Task timed out after 1\.00 seconds/);
  });

  test('with a result that is no JSON fails with Runtime.MarshalError', async () => {
    const error = await failure(languages, 'languages-dev-pythonFailure', { how: 'object' });
    assert.equal(error.errorType, 'Runtime.MarshalError');
  });

  for (const [name, type, message] of [
    ['pythonBroken', 'RuntimeError', /broken while loading/],
    ['pythonMissing', 'Runtime.HandlerNotFound', /nowhere/],
    ['pythonAbsent', 'Runtime.ImportModuleError', /absent/],
  ]) {
    test(`that cannot be loaded ("${name}") fails with ${type}`, async () => {
      const error = await failure(languages, `languages-dev-${name}`, {});
      assert.equal(error.errorType, type);
      assert.match(error.errorMessage, message);
    });
  }
});
