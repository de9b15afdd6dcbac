// Pages in a browser, each with a script of the test's in it.

import http from 'node:http';

import esbuild from 'esbuild';
import { chromium } from 'playwright-core';

import { ROOT } from './fanwire.mjs';

/** A browser, and an origin of this machine: its pages may use all that a page over https may. */
export class Browser {
  static async open({ args = [] } = {}) {
    const browser = new Browser();
    browser.chromium = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...args],
    });
    browser.origin = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html>'));
    await new Promise((resolve) => browser.origin.listen(0, '127.0.0.1', resolve));
    return browser;
  }

  /** A page of its own with a script in it: `{ path }` or `{ content }`. */
  async page(script) {
    const context = await this.chromium.newContext({ ignoreHTTPSErrors: true });
    const tab = await context.newPage();
    await tab.goto(`http://127.0.0.1:${this.origin.address().port}/`);
    await tab.addScriptTag(script);
    return tab;
  }

  async close() {
    this.origin.close();
    await this.chromium.close();
  }
}

/** AWS's device SDK as a script of a page, which finds it as `sdk`. */
export async function deviceSdk() {
  const { outputFiles: [{ text }] } = await esbuild.build({
    stdin: { contents: "export { auth, iot, mqtt, mqtt5 } from 'aws-iot-device-sdk-v2';", resolveDir: `${ROOT}/tests` },
    bundle: true, write: false, platform: 'browser', format: 'iife', globalName: 'sdk', define: { global: 'globalThis' }, logLevel: 'error',
  });
  return { content: text };
}
