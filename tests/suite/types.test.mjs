// The types that a router in Rust has for clients in TypeScript: what `tsc --strict` says of code that uses them, and
// a page with React.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import ts from 'typescript';

import { ROOT } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { HOMES, program } from '../harness/home.mjs';
import { VERSIONS } from '../harness/trpc.mjs';

const router = execFileSync(program('trpc'), ['types']).toString();

/** The types of the rooms, whose clients have superjson or have not. */
const rooms = (transformer) => execFileSync(program('examples/rooms'), ['types'], { env: { ...process.env, TRANSFORMER: transformer } }).toString();

/** What `tsc --strict` says of a file beside `router.ts`, with the modules of a folder of `tests/trpc`. */
function complaints(modules, name, text, types = router) {
  const folder = temporaryFolder('types');
  const { resolve } = createRequire(path.join(ROOT, 'tests/trpc', modules, 'package.json'));
  const own = path.dirname(path.dirname(resolve('@trpc/client/package.json')));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(own, path.join(folder, 'node_modules/@trpc'));
  for (const shared of ['@tanstack', '@types', 'react', 'react-dom', 'superjson']) {
    symlinkSync(path.join(ROOT, 'tests/node_modules', shared), path.join(folder, 'node_modules', shared));
  }
  writeFileSync(path.join(folder, 'router.ts'), types);
  const file = path.join(folder, name);
  writeFileSync(file, text);
  const compiled = ts.createProgram([file], {
    strict: true, noEmit: true, skipLibCheck: true, jsx: ts.JsxEmit.ReactJSX, lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
  });
  const found = ts.getPreEmitDiagnostics(compiled);
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** Code of a client; `calls` is what it does with it. */
const code = ({ isEleven }, calls) => `
  import { ${isEleven ? 'createTRPCClient' : 'createTRPCProxyClient'} as create, createWSClient, wsLink } from '@trpc/client';
  import type { AppRouter } from './router';
  const client = createWSClient({ url: 'ws://127.0.0.1:1' });
  export const api = create<AppRouter>({ links: [wsLink({ client })] });
  ${calls}
`;

for (const each of VERSIONS) {
  describe(`the types of a router, with @trpc/client ${each.version}`, () => {
    const said = (calls) => complaints(each.version, 'client.ts', code(each, calls));

    test('are those of its procedures', () => {
      assert.deepEqual(said(`
        export const name: Promise<string> = api.whoAmI.query();
        export const count: Promise<number> = api.greet.mutate({ name: 'name1', text: 'hi' });
        api.mySubscription.subscribe({ name: 'name1' }, { onData: (text: string) => text.length });
      `), []);
    });

    for (const [what, calls] of Object.entries({
      'a procedure that there is not': 'api.whoAreYou.query();',
      'a query as a mutation': 'api.whoAmI.mutate();',
      'an input that lacks a field': "api.greet.mutate({ name: 'name1' });",
      'a field of another type': 'api.mySubscription.subscribe({ name: 1 }, {});',
      'a result as another type': 'export const name: Promise<number> = api.whoAmI.query();',
      'data as another type': "api.mySubscription.subscribe({ name: 'a' }, { onData: (text: number) => text });",
    })) {
      test(`refuse ${what}`, () => assert.notDeepEqual(said(calls), []));
    }
  });
}

for (const { version, isEleven } of VERSIONS) {
  describe(`the types of what JSON has no word for, with @trpc/client ${version}`, () => {
    const said = (transformer, calls) => complaints(version, 'client.ts', `
      import { ${isEleven ? 'createTRPCClient' : 'createTRPCProxyClient'} as create, createWSClient, wsLink } from '@trpc/client';
      import superjson from 'superjson';
      import type { AppRouter } from './router';
      const client = createWSClient({ url: 'ws://127.0.0.1:1' });
      ${transformer && isEleven ? 'const link = wsLink<AppRouter>({ client, transformer: superjson });' : 'const link = wsLink<AppRouter>({ client });'}
      export const api = create<AppRouter>({ ${transformer && !isEleven ? 'transformer: superjson, ' : ''}links: [link] });
      void superjson;
      ${calls}
    `, rooms(transformer));

    const withSuperjson = `
      const ledger = {
        opened: new Date(0), cents: 1n, owners: new Set(['ada']), entries: new Map([[new Date(0), [1n]]]), closed: null,
      };
      export const kept: Promise<[Date, bigint, Set<string>, Map<Date, bigint[]>, Date | null]> = api.keep.mutate(ledger)
        .then(({ opened, cents, owners, entries, closed }) => [opened, cents, owners, entries, closed]);
      api.messages.subscribe({ room: 'a' }, { onData: ({ at }) => at.getTime() });
    `;
    const without = `
      const entries: [string, string[]][] = [['1970-01-01T00:00:00.000Z', ['1']]];
      const ledger = { opened: '1970-01-01T00:00:00.000Z', cents: '1', owners: ['ada'], entries, closed: null };
      export const kept: Promise<[string, string, string[], [string, string[]][], string | null]> = api.keep.mutate(ledger)
        .then(({ opened, cents, owners, entries, closed }) => [opened, cents, owners, entries, closed]);
      api.messages.subscribe({ room: 'a' }, { onData: ({ at }) => at.length });
    `;

    test('are those of JavaScript with superjson', () => {
      assert.deepEqual(said('superjson', withSuperjson), []);
      assert.notDeepEqual(said('superjson', without), []);
    });

    test('are texts and arrays without it', () => {
      assert.deepEqual(said('', without), []);
      assert.notDeepEqual(said('', withSuperjson), []);
    });
  });
}

for (const { home, start } of HOMES) {
  describe(`a page with React, whose server is ${home}`, () => {
    const held = {};
    before(async () => {
      const page = path.join(ROOT, 'tests/trpc/react/page.tsx');
      const types = { name: 'types', setup: (bundle) => bundle.onResolve({ filter: /^\.\/router$/ }, () => ({ path: 'router', external: true })) };
      const bundle = await build({
        entryPoints: [page], bundle: true, write: false, jsx: 'automatic', define: { 'process.env.NODE_ENV': '"production"' },
        plugins: [types],
      });
      const [{ text }] = bundle.outputFiles;
      held.pages = createServer((request, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(`<!doctype html><div id="root"></div><script>${text.replaceAll('</script', '<\\/script')}</script>`);
      });
      await new Promise((resolve) => held.pages.listen(0, '127.0.0.1', resolve));
      held.app = await start('rust-trpc', 'trpc');
      held.browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      });
    });
    after(async () => {
      await held.browser?.close();
      held.pages?.close();
      await held.app?.stop();
    });

    test('shows what is published by useSubscription', async () => {
      const tab = await held.browser.newPage();
      const { port } = held.pages.address();
      await tab.goto(`http://127.0.0.1:${port}/?url=${encodeURIComponent(held.app.procedures)}`);
      await tab.waitForSelector('main[data-status=pending]');
      await tab.click('button');
      await tab.waitForSelector('li');
      assert.deepEqual(await tab.locator('li').allTextContents(), ['ada: hi']);
    });
  });
}

test('the page is code that tsc accepts', () => {
  const page = readFileSync(path.join(ROOT, 'tests/trpc/react/page.tsx'), 'utf8');
  assert.deepEqual(complaints('react', 'page.tsx', page), []);
});
