// Serves the page at http://localhost:3000, as Next.js does in SST's example. PORT and ENDPOINT say otherwise.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

import { build } from 'esbuild';

const { PORT = '3000', ENDPOINT = 'localhost:3001' } = process.env;
const told = { ENDPOINT, AUTHORIZER: 'chat', TOPIC: 'my-app/dev/sst-chat' };
const define = Object.fromEntries(Object.entries(told).map(([name, value]) => [name, JSON.stringify(value)]));
const { outputFiles: [script] } = await build({ entryPoints: ['page.ts'], bundle: true, write: false, define });
const page = await readFile('index.html');

const server = createServer((request, response) => {
  const [type, body] = request.url === '/page.js' ? ['text/javascript', script.contents] : ['text/html', page];
  response.setHeader('Content-Type', type).end(body);
});
server.listen(Number(PORT), 'localhost', () => console.log(`http://localhost:${server.address().port}/?name=Ada`));
