// Nitric projects as they are, on the SDKs that they use: sockets, stores and services.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT, fanwire, start } from '../harness/fanwire.mjs';
import { temporaryFolder } from '../harness/folder.mjs';
import { Project, VERSIONS, ask, copied, project } from '../harness/nitric.mjs';
import { eventually, within } from '../harness/patience.mjs';
import { connect, refused } from '../harness/websocket.mjs';

/** Starts a project for the tests of one group. */
function running(...where) {
  const held = {};
  before(async () => {
    held.project = await Project.start(project(...where));
  });
  after(() => held.project?.stop());
  return held;
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

for (const version of VERSIONS) {
  describe(`a websocket of Nitric ${version}`, { concurrency: true }, () => {
    const held = running(version, 'probe');

    test('has its events in order, and messages of a connection one at a time', async () => {
      const client = await held.project.connect('?name=order');
      const { connection } = await held.project.saw(({ query }) => query?.name?.[0] === 'order', 'the connect event');
      const texts = ['slow one', 'two', 'slow three', 'four'];
      texts.forEach((text) => client.send(text));
      for (const text of texts) assert.equal(await client.next(), text);
      await client.close();
      await held.project.saw((saw) => saw.event === 'disconnect' && saw.connection === connection, 'the disconnect');
      const own = held.project.seen().filter((saw) => saw.connection === connection || texts.includes(saw.text));
      assert.deepEqual(
        own.map(({ event, text }) => text ?? event),
        ['connect', ...texts.flatMap((text) => [text, text]), 'disconnect'],
      );
    });

    test('is reached by any path on its own port, and by its name on the server\'s', async () => {
      for (const url of [held.project.url('/any/path'), held.project.url(), held.project.server.url()]) {
        const client = await connect(url);
        assert.equal(await client.send('hello').next(), 'hello', url);
        await client.close();
      }
    });

    for (const [what, query] of [['says no', '?refuse=1'], ['fails', '?throw=1']]) {
      test(`refuses a client to whom its handler ${what} with 500`, async () => {
        const { status, body } = await refused(held.project.url(query));
        assert.deepEqual([status, body], [500, 'Connection Refused']);
        assert.equal((await refused(held.project.server.url(query))).status, 500);
      });
    }

    test('shows all values of a query, with percent signs', async () => {
      const client = await held.project.connect('/?case=query&a=100%25&a=b%26c%3Dd&e=%C3%A9+f&g');
      const { query } = await held.project.saw((saw) => saw.query?.case, 'the query');
      assert.deepEqual(query, { case: ['query'], a: ['100%', 'b&c=d'], e: ['é f'], g: [''] });
      await client.close();
    });

    test('takes and sends bytes that are no text', async () => {
      const client = await held.project.connect();
      const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x80]);
      client.socket.send(bytes);
      assert.deepEqual(Buffer.from(await client.next()), bytes);
      client.socket.send(Buffer.from('text'));
      assert.equal(await client.next(), 'text');
      await client.close();
    });

    test('closes connections, and has errors for those that are not there', async () => {
      const client = await held.project.connect();
      for (const asked of [{ do: 'send', to: 'abcdefgh==', text: 'x' }, { do: 'close', to: 'abcdefgh==' }]) {
        assert.match((await ask(client, asked)).error, /could not get connection abcdefgh==/);
      }
      client.send({ do: 'close' });
      assert.equal((await client.closed).code, 1000);
    });

    test('says where it is', async () => {
      const client = await held.project.connect();
      assert.deepEqual(await ask(client, { do: 'url' }), { url: held.project.url() });
      await client.close();
    });

    test('stores, reads and deletes', async () => {
      const client = await held.project.connect();
      const content = { text: 'x', number: 1.5, list: [1, null, { deep: true }], empty: {} };
      assert.deepEqual(await ask(client, { do: 'set', id: 'a', content }), { set: 'a' });
      assert.deepEqual(await ask(client, { do: 'get', id: 'a' }), { got: content });
      assert.deepEqual(await ask(client, { do: 'delete', id: 'a' }), { deleted: 'a' });
      const gone = await ask(client, { do: 'get', id: 'a' });
      if (version === '0.15') assert.match(gone.error, /there is no document/);
      else assert.deepEqual(gone, { got: null });
      await client.close();
    });

    test('has what Nitric tells services in its environment', async () => {
      const client = await held.project.connect();
      const { address } = held.project.server.ready.nitric;
      const { pid, proxy, path: file, ...told } = await ask(client, { do: 'pid' });
      assert.ok(pid > 0 && proxy > 0);
      assert.match(file, /^(functions|services)\/probe\.js$/);
      assert.deepEqual(told, { environment: 'run', address, host: '127.0.0.1', port: address.split(':')[1] });
      await client.close();
    });
  });

  describe(`a service on Nitric ${version}`, () => {
    const held = running(version, 'probe');

    for (const end of ['exit', 'throw']) {
      test(`is started again when it ends by itself (${end}), and its clients stay`, async () => {
        const client = await held.project.connect();
        const { pid } = await ask(client, { do: 'pid' });
        client.send({ do: end });
        await eventually(() => !isAlive(pid), `process ${pid} ends`);
        // Who comes meanwhile waits for it.
        const other = await held.project.connect();
        assert.notEqual((await ask(other, { do: 'pid' })).pid, pid);
        assert.equal(await client.send('still here').next(), 'still here');
        await Promise.all([client.close(), other.close()]);
        const { items } = held.project.server.events;
        assert.ok(items.some(({ type, text }) => type === 'function' && /it is started again in/.test(text)));
      });
    }

    test('hears of clients that go when the server stops, and ends with it', async () => {
      const client = await held.project.connect('?name=last');
      const { connection } = await held.project.saw(({ query }) => query?.name?.[0] === 'last', 'the connect event');
      const { pid } = await ask(client, { do: 'pid' });
      await held.project.stop();
      assert.ok(held.project.seen().some((saw) => saw.event === 'disconnect' && saw.connection === connection));
      assert.ok(!isAlive(pid));
      const crashes = held.project.server.events.items.filter(({ text }) => /UNAVAILABLE/.test(text));
      assert.deepEqual(crashes, [], 'streams end as the SDK expects it');
    });
  });

  test(`no process of a service on Nitric ${version} outlives a server that is killed`, async () => {
    const started = await Project.start(project(version, 'probe'));
    const client = await started.connect();
    const { pid } = await ask(client, { do: 'pid' });
    await started.server.kill();
    await eventually(() => !isAlive(pid), `process ${pid} ends`);
  });
}

describe('collections', () => {
  const held = running('0.15', 'probe');
  let client;
  before(async () => {
    client = await held.project.connect();
    const people = [['ada', 36, 'London'], ['grace', 85, 'New York'], ['alan', 41, 'London'], ['edsger', 72, 'Nuenen']];
    for (const [id, age, city] of people) {
      await ask(client, { do: 'set', id, content: { age, city, home: { city } } });
    }
    for (const id of ['engine', 'note']) await ask(client, { do: 'set', parent: 'ada', id, content: { id } });
    await ask(client, { do: 'set', parent: 'grace', id: 'compiler', content: {} });
  });
  after(() => client?.close());
  const ids = ({ documents, error }) => error ?? documents.map(({ id }) => id);

  for (const [where, expected] of [
    [[['age', '==', 41]], ['alan']],
    [[['age', '!=', 41]], ['ada', 'edsger', 'grace']],
    [[['age', '<', 41]], ['ada']],
    [[['age', '>=', 72]], ['edsger', 'grace']],
    [[['city', 'startsWith', 'N']], ['edsger', 'grace']],
    [[['city', '==', 'London'], ['age', '>', 36]], ['alan']],
    [[['home.city', '==', 'Nuenen']], ['edsger']],
    [[['city', '==', 41]], []],
  ]) {
    test(`are queried with ${JSON.stringify(where)}`, async () => {
      assert.deepEqual(ids(await ask(client, { do: 'query', where })), expected);
      assert.deepEqual(ids(await ask(client, { do: 'stream', where })), expected);
    });
  }

  test('are read in pages', async () => {
    const pages = [];
    let token;
    do {
      const answer = await ask(client, { do: 'query', limit: 3, from: token });
      pages.push(ids(answer));
      token = answer.token;
    } while (token && Object.keys(token).length && pages.length < 5);
    assert.deepEqual(pages, [['ada', 'alan', 'edsger'], ['grace']]);
    assert.deepEqual(ids(await ask(client, { do: 'stream', limit: 2 })), ['ada', 'alan']);
  });

  test('have collections below documents, by parent or of all', async () => {
    assert.deepEqual(ids(await ask(client, { do: 'query', parent: 'ada' })), ['engine', 'note']);
    assert.deepEqual(ids(await ask(client, { do: 'stream', everywhere: true })), ['engine', 'note', 'compiler']);
    await ask(client, { do: 'delete', id: 'grace' });
    assert.deepEqual(ids(await ask(client, { do: 'query', everywhere: true })), ['engine', 'note']);
  });

  test('are there after a restart, and gone with --fresh', async () => {
    const data = temporaryFolder('data');
    const found = async (...args) => {
      const started = await Project.start(project('0.15', 'probe'), { args: ['--data', data, ...args] });
      const own = await started.connect();
      const before = ids(await ask(own, { do: 'query' }));
      await ask(own, { do: 'set', id: 'kept', content: {} });
      await started.server.kill();
      return before;
    };
    assert.deepEqual(await found(), []);
    assert.deepEqual(await found(), ['kept']);
    assert.deepEqual(await found('--fresh'), []);
  });
});

test('keys of a store are listed by their beginning', async () => {
  const started = await Project.start(project('1.2', 'probe'));
  try {
    const client = await started.connect();
    for (const id of ['user/b', 'user/a', 'order/1']) await ask(client, { do: 'set', id, content: {} });
    assert.deepEqual(await ask(client, { do: 'keys', prefix: 'user/' }), { keys: ['user/a', 'user/b'] });
    assert.deepEqual(await ask(client, { do: 'keys' }), { keys: ['order/1', 'user/a', 'user/b'] });
    await client.close();
  } finally {
    await started.stop();
  }
});

test('the tutorial runs as it is written, with its mistake', async () => {
  const started = await Project.start(project('0.15', 'tutorial'));
  try {
    const [ada, grace] = [await started.connect(), await started.connect()];
    ada.send('hello');
    assert.equal(await ada.next(), 'hello', 'who speaks hears it once for everybody else');
    grace.send('hi');
    assert.equal(await grace.next('what grace said, and nothing before it'), 'hi');
    await Promise.all([ada.close(), grace.close()]);
  } finally {
    await started.stop();
  }
});

for (const version of ['0.15', '1.2']) {
  describe(`a project on Nitric ${version} with more than websockets`, () => {
    const held = running(version, 'mixed');

    test('has its websockets served, by several services, on ports of their own', async () => {
      const names = held.project.server.ready.nitric.sockets.map(({ name }) => name);
      assert.deepEqual(names.sort(), ['beside', 'mute', 'other']);
      const [beside, other] = [await held.project.connect('', 'beside'), await held.project.connect('', 'other')];
      assert.equal(await other.send('hello').next(), 'other hello');
      assert.match(await beside.send('hello').next(), /^hello: .*does not serve/);
      await Promise.all([beside.close(), other.close()]);
    });

    test('refuses clients of a websocket that nobody lets in with 404', async () => {
      const { status, body } = await refused(held.project.url('', 'mute'));
      assert.deepEqual([status, body], [404, 'No worker found to handle connection request']);
    });

    test('is told what is not served, once each', async () => {
      const news = held.project.server.events.items.filter(({ type }) => type === 'news').map(({ text }) => text);
      for (const what of ['API `main`', 'bucket `files`', 'queue `jobs`', 'secret `key`', 'topic `updates`']) {
        assert.equal(news.filter((text) => text.startsWith(`${what} is declared`)).length, 1, `${what} in ${news}`);
      }
    });
  });
}

test('a service is started anew when its files change, unless that is not wanted', async () => {
  const folder = copied('1.2', 'probe');
  const file = path.join(folder, 'services/probe.js');
  for (const args of [[], ['--no-reload']]) {
    const started = await Project.start(folder, { args });
    try {
      const client = await started.connect();
      const { pid } = await ask(client, { do: 'pid' });
      writeFileSync(file, `${readFileSync(file)}\nconsole.log('saw {"event":"changed"}');\n`);
      if (args.length) {
        assert.equal((await ask(client, { do: 'pid' })).pid, pid);
      } else {
        await started.saw(({ event }) => event === 'changed', 'the new code');
        assert.notEqual((await ask(client, { do: 'pid' })).pid, pid);
      }
      await client.close();
    } finally {
      await started.stop();
    }
  }
});

test('a port of local.nitric.yaml and variables of .env are the service\'s', async () => {
  const folder = copied('1.2', 'probe');
  const free = await Project.start(folder, { args: ['--socket-port', '0'] });
  const { port } = new URL(free.url());
  await free.stop();
  writeFileSync(path.join(folder, 'local.nitric.yaml'), `websockets:\n  probe:\n    port: ${port}\n`);
  writeFileSync(path.join(folder, '.env'), 'NITRIC_ENVIRONMENT=cloud\nGREETING=hello\n');
  writeFileSync(path.join(folder, 'services/env.js'), 'console.log(`saw ${JSON.stringify({ event: process.env.GREETING })}`);\n');
  const started = await Project.start(folder);
  try {
    assert.equal(new URL(started.url()).port, port);
    await started.saw(({ event }) => event === 'hello', 'a variable of .env');
    const client = await started.connect();
    assert.equal((await ask(client, { do: 'pid' })).environment, 'run');
    await client.close();
  } finally {
    await started.stop();
  }
});

test('a service that ends at once is shown with what it wrote', async () => {
  const folder = copied('1.2', 'probe');
  writeFileSync(path.join(folder, 'services/probe.js'), "throw new Error('a mistake');\n");
  const server = await start(folder);
  try {
    await server.events.find(({ type, text }) => type === 'line' && /a mistake/.test(text), 'its output');
    await server.events.find(
      ({ type, text }) => type === 'function' && /services\/probe: ended after .* exit status 1/.test(text),
      'how it ended',
    );
    assert.deepEqual(server.ready.nitric.sockets, []);
  } finally {
    await server.stop();
  }
});

test('a command that is not installed is told as such', async () => {
  const folder = copied('1.2', 'probe');
  writeFileSync(path.join(folder, 'nitric.yaml'), 'name: x\nservices:\n  - match: services/*.js\n    start: nowhere $SERVICE_PATH\n');
  const server = await start(folder);
  try {
    await server.events.find(({ text }) => /its command was not found; .*npm install/.test(text), 'what to do');
  } finally {
    await server.stop();
  }
});

test('what is no gRPC does no harm to the port that services call', async () => {
  const started = await Project.start(project('1.2', 'probe'));
  try {
    const [host, port] = started.server.ready.nitric.address.split(':');
    for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff', '\0'.repeat(100)]) {
      const socket = createConnection({ host, port: Number(port) });
      // That it ends is enough: a reset is as good as an end, so `once`, which fails on
      // an error, is not for this.
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.on('error', () => {}).end(Buffer.from(bytes, 'latin1'));
      socket.resume();
      await within(closed, 'the connection is closed');
    }
    const client = await started.connect();
    assert.equal(await client.send('hello').next(), 'hello');
    await client.close();
  } finally {
    await started.stop();
  }
});

test('a project without services is ready at once', async () => {
  const folder = temporaryFolder('nitric');
  writeFileSync(path.join(folder, 'nitric.yaml'), 'name: x\nservices: []\n');
  const server = await start(folder, { patience: 10_000 });
  await server.stop();
});

test('`fanwire check` tells the services, and what is missing', async () => {
  const folder = copied('0.15', 'tutorial');
  const found = await fanwire(['check', folder]);
  assert.equal(found.status, 0, found.stderr);
  assert.match(found.stdout, /SERVICE .*COMMAND/);
  assert.match(found.stdout, /functions\/chat .*tsx/);
  rmSync(path.join(folder, '../../node_modules'));
  const missing = await fanwire(['check', folder]);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /neither tsx nor ts-node[\s\S]*`npm install`/);
});

test('a project file with a mistake is told where it is', async () => {
  const folder = temporaryFolder('nitric');
  writeFileSync(path.join(folder, 'nitric.yaml'), 'name: x\nservces:\n  - match: a/*.js\n');
  const { status, stderr } = await fanwire(['check', folder], { cwd: ROOT });
  assert.equal(status, 2);
  assert.match(stderr, /unknown key `servces`[\s\S]*nitric\.yaml:2:1[\s\S]*did you mean `services`/);
});
