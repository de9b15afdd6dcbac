// The examples of the realtime endpoint, as they are: SST's chat in a browser, AWS's device SDK in a terminal, and
// clients in Rust.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { FANWIRE, HOME, ROOT, example, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Peer } from '../harness/mqtt.mjs';
import { Feed, within } from '../harness/patience.mjs';

/** A program of an example: what it prints, line by line. */
class Program {
  lines = new Feed();

  constructor(command, args, { cwd, env, detached = false }) {
    this.child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line));
    this.exited = new Promise((resolve) => {
      this.child.on('close', (code) => {
        this.lines.end(`the program ended with ${code}`);
        resolve(code);
      });
    });
  }

  say(line) {
    this.child.stdin.write(`${line}\n`);
  }

  /** Ctrl-C in the terminal of a detached program, which all that it has started get, too. */
  interrupt() {
    process.kill(-this.child.pid, 'SIGINT');
    return within(this.exited, 'the program ends');
  }

  /** Resolves with its exit code once it is over. */
  async end(signal) {
    if (signal) this.child.kill(signal);
    else this.child.stdin.end();
    return within(this.exited, 'the program ends');
  }
}

describe('the realtime chat', () => {
  let server;
  let page;
  let browser;
  let address;
  before(async () => {
    server = await start(example('realtime-chat'));
    page = new Program('node', ['serve.js'], {
      cwd: example('realtime-chat'), env: { PORT: '0', ENDPOINT: `localhost:${server.port}` },
    });
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    });
    address = await page.lines.take('the address of the page');
  });
  after(async () => {
    await browser?.close();
    await page?.end('SIGTERM');
    await server?.stop();
  });

  /** A tab with the page, ready to talk. */
  async function tab(name) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const opened = await context.newPage();
    await opened.goto(address.replace('Ada', name));
    await opened.locator('button:enabled').waitFor();
    return opened;
  }

  async function say(on, text) {
    await on.locator('input').fill(text);
    await on.locator('button').click();
  }

  test('two people in browsers hear each other', async () => {
    const [ada, grace] = [await tab('Ada'), await tab('Grace')];
    await say(ada, 'hello');
    for (const each of [ada, grace]) await each.getByText('Ada: hello').waitFor();
    await say(grace, 'hi');
    for (const each of [ada, grace]) await each.getByText('Grace: hi').waitFor();
    await Promise.all([ada, grace].map((each) => each.close()));
  });

  test('its subscriber hears everything, and throws a die with the AWS SDK', async () => {
    const ada = await tab('Ada');
    await say(ada, '/roll');
    await ada.getByText(/^die: Ada has [1-6]$/).waitFor();
    await server.events.find(({ text }) => text?.includes('Ada: /roll'), 'the log of the subscriber');
    await ada.close();
  });

  test('is joined from the command line, as its README says', async () => {
    const ada = await tab('Ada');
    const { status, stderr } = await fanwire(
      ['publish', 'my-app/dev/sst-chat', '{"from":"Grace","text":"/roll"}', '--data', server.data],
    );
    assert.equal(status, 0, stderr);
    await ada.getByText(/^die: Grace has [1-6]$/).waitFor();
    await ada.close();
  });

  test('lets a bad token in, by SST\'s authorizer, to do nothing', async () => {
    const peer = new Peer(`ws://127.0.0.1:${server.port}/mqtt?x-amz-customauthorizer-name=chat`, { username: '', password: 'guessed' });
    await peer.connected;
    assert.deepEqual(await peer.subscribe('my-app/dev/sst-chat', { qos: 1 }), [0x87]);
    await peer.leave();
  });
});

test('the realtime chat starts with its page by the one command of its README', async () => {
  const program = new Program('npm', ['start', '--silent', '--', '--port', '0', '--data', temporaryFolder('chat')], {
    cwd: example('realtime-chat'),
    detached: true,
    env: { PORT: '0', PATH: `${path.dirname(FANWIRE)}:${process.env.PATH}`, FANWIRE_HOME: HOME },
  });
  try {
    const page = await program.lines.find((line) => line.startsWith('http://localhost:'), 'the address of the page');
    assert.match(await (await fetch(page)).text(), /<title>Chat<\/title>/);
    const [, served] = /(http:.*)/.exec(await program.lines.find((line) => line.includes('Lambda API'), 'the address of the app'));
    assert.equal((await fetch(`${served}/_fanwire/app`)).status, 200);
  } finally {
    // Its output ends with the last process that it has started.
    await program.interrupt();
  }
});

test('two people talk with the device SDK', async () => {
  const server = await start(example('realtime-sdk'));
  const cwd = temporaryFolder('radio');
  const { stdout } = await fanwire(['trust', '--print'], { env: { FANWIRE_HOME: HOME } });
  writeFileSync(path.join(cwd, 'ca.pem'), stdout);
  const talk = async (name) => {
    const program = new Program('node', [path.join(example('realtime-sdk'), 'talk.js'), name], {
      cwd, env: { ENDPOINT: `localhost:${server.port}` },
    });
    // The SDK says of any port but 443 that it is not supported.
    assert.match(await program.lines.take('the SDK warns'), /^Warning: .*Port is not 443/);
    assert.equal(await program.lines.take(`${name} is connected`), `${name} is on radio/dev/channel-1`);
    return program;
  };
  try {
    const [ada, grace] = [await talk('Ada'), await talk('Grace')];
    grace.say('hello');
    assert.equal(await ada.lines.take('what Grace says'), 'Grace: hello');
    ada.say('hi');
    assert.equal(await grace.lines.take('what Ada says'), 'Ada: hi');
    assert.deepEqual([await ada.end(), await grace.end()], [0, 0]);
  } finally {
    await server.stop();
  }
});

test('a lamp in Rust is switched', async () => {
  const server = await start(example('realtime-rust'));
  const options = { cwd: ROOT, env: { BROKER: `localhost:${server.port}` } };
  const house = (role) => new Program(path.join(example('realtime-rust'), 'target/debug/house'), [role], options);
  try {
    const lamp = house('lamp');
    assert.equal(await lamp.lines.take('the lamp is there'), 'the lamp is off');
    for (const wish of ['on', 'off']) {
      const hand = house(wish);
      assert.equal(await hand.lines.take('the lamp is switched'), `the lamp is ${wish}`);
      assert.equal(await lamp.lines.take('the lamp notices'), `the lamp is ${wish}`);
      assert.equal(await hand.end(), 0);
    }
    await lamp.end('SIGTERM');
  } finally {
    await server.stop();
  }
});
