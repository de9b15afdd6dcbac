// What SST's SDKs and files find here: links as published versions read them, the variables of version 2, and an
// sst.config.ts that is saved under a running server.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { ROOT, app, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { eventually } from '../harness/patience.mjs';
import { connect } from '../harness/websocket.mjs';

/** Says whether an event is news that a text is in. */
const news = (text) => (event) => event.type === 'news' && event.text.includes(text);

/** A folder with these files. */
function project(files) {
  const folder = temporaryFolder('sst');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}

const CONFIG = `export default $config({
  app: () => ({ name: "saved", home: "aws" }),
  async run() {
    const { text } = await import("./infra/text");
    const api = new sst.aws.ApiGatewayWebSocket("Api");
    api.route("$connect", "handlers.ok");
    api.route("ask", { handler: "handlers.ask", environment: { TEXT: text } });
  },
});
`;

const HANDLERS = `
import { ApiGatewayManagementApi } from '@aws-sdk/client-apigatewaymanagementapi';
export const ok = async () => ({ statusCode: 200 });
export const ask = async ({ requestContext: { connectionId: ConnectionId, domainName, stage } }) => {
  const management = new ApiGatewayManagementApi({ endpoint: \`https://\${domainName}/\${stage}\` });
  await management.postToConnection({ ConnectionId, Data: process.env.TEXT });
  return { statusCode: 200 };
};`;

test('an sst.config.ts and what it imports are followed, and a mistake in them changes nothing', async () => {
  const text = (value) => `export const text = ${JSON.stringify(value)};\n`;
  const folder = project({ 'sst.config.ts': CONFIG, 'infra/text.ts': text('first'), 'handlers.mjs': HANDLERS });
  symlinkSync(path.join(ROOT, 'tests/node_modules'), path.join(folder, 'node_modules'));
  const server = await start(folder);
  try {
    const client = await connect(`ws://localhost:${server.port}/$default`);
    const asked = () => client.ask({ action: 'ask' });
    assert.equal(await asked(), 'first');
    writeFileSync(path.join(folder, 'infra/text.ts'), text('second'));
    await server.events.find(news('function `ApiRouteAsk` changed: environment'), 'what is imported is followed');
    assert.equal(await asked(), 'second');
    writeFileSync(path.join(folder, 'infra/text.ts'), 'export const text = missing;\n');
    const fault = await server.events.find(news('missing is not defined'), 'the mistake is told');
    assert.match(fault.text, /infra\/text\.ts:1:21[^]*the app runs on as it was/);
    assert.equal(await asked(), 'second');
    writeFileSync(path.join(folder, 'infra/text.ts'), text('third'));
    await eventually(async () => (await asked()) === 'third', 'it is mended');
    await client.close();
  } finally {
    await server.stop();
  }
});

test('`fanwire check` shows what an sst.config.ts declares, and says where it is wrong', async () => {
  const run = (body) => project({ 'sst.config.ts': `export default $config({\n  app: () => ({ name: "told", home: "aws" }),\n  async run() {\n${body}\n  },\n});\n` });
  const shown = await fanwire(['check', run('    new sst.aws.Nextjs("Web", { path: "web" });\n    new sst.aws.Cron("Nightly");')]);
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(shown.stdout, /SITE +KIND +COMMAND +FOLDER\n +Web +sst\.aws\.Nextjs +npm run dev +web\n/);
  assert.match(shown.stdout, /not served: sst\.aws\.Cron \(Nightly\)/);
  const refused = await fanwire(['check', run('    throw new Error("not today");')]);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /not today\n +--> .*sst\.config\.ts:4:11\n/);
});

test('an sst.config.ts in TypeScript is read where the project has no tool for it', async () => {
  const folder = project({
    'sst.config.ts': `import { type Settings, settings } from "./infra/settings.ts";

const name: Settings["name"] = settings.name;
export default $config({
  app: (input: { stage: string }) => ({ name, home: "aws" as const }),
  async run(): Promise<void> {
    throw new Error(\`not \${name satisfies string}\`);
  },
});
`,
    'infra/settings.ts': 'export interface Settings { name: string }\n\nexport const settings: Settings = { name: "typed" };\n',
  });
  const { status, stderr } = await fanwire(['check', folder]);
  assert.equal(status, 2);
  assert.match(stderr, /not typed\n +--> .*sst\.config\.ts:7:11\n/);
  writeFileSync(path.join(folder, 'infra/settings.ts'), 'export const settings: = 1;\n');
  const broken = await fanwire(['check', folder]);
  assert.match(broken.stderr, /--> .*infra\/settings\.ts:1:24\n/);
});

describe('version 2 of SST', () => {
  test('finds its tables and its APIs by the variables of a fanwire.toml', async () => {
    const folder = temporaryFolder('sst-v2');
    cpSync(app('sst-v2'), folder, { recursive: true });
    // `./test clients` puts it there.
    symlinkSync(path.join(ROOT, '.cache/sst-v2'), path.join(folder, 'node_modules'));
    const server = await start(folder);
    try {
      const client = await connect(server.url(), { protocols: ['token'] });
      assert.equal(client.socket.protocol, 'token');
      assert.deepEqual(JSON.parse(await client.ask('what is there?')), {
        app: 'sst-v2',
        stage: 'dev',
        region: 'us-east-1',
        table: { tableName: 'sst-v2-dev-Connections' },
        api: { url: `ws://localhost:${server.port}/dev`, httpsUrl: `http://localhost:${server.port}/dev` },
      });
      await server.events.find(({ text }) => text?.startsWith('connected: '), 'the log of its handler');
      await client.close();
    } finally {
      await server.stop();
    }
  });
});
