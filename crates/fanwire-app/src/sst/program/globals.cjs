
// === What an sst.config.ts finds without importing it ===

// The names of Pulumi's own package that are used in configurations.
const util = tolerant('util', {
  Output,
  all,
  output,
  interpolate,
  concat,
  secret: output,
  unsecret: output,
  jsonStringify: (value, ...others) => output(value).apply((known) => JSON.stringify(known, ...others)),
  jsonParse: (value, ...others) => output(value).apply((known) => JSON.parse(known, ...others)),
  asset: provider('asset', 'util'),
  CustomResource: Component,
  ComponentResource: Component,
  Resource: Component,
  ResourceError: Error,
  RunError: Error,
  Config: class Config {
    get(key) {
      return process.env[key];
    }
  },
  getStack: () => app.stage,
  getProject: () => app.name,
  log: { info: console.error, debug() {}, warn: console.error, error: console.error },
});

// An object whose other members are placeholders.
function tolerant(name, members) {
  return new Proxy(members, {
    get: (target, key) =>
      typeof key === 'symbol' || key in target || key === 'then' ? target[key] : placeholderOutput(`${name}.${key}`),
  });
}

const understood = { Function: SstFunction, Realtime, ApiGatewayWebSocket, Dynamo };
for (const [name, kind] of Object.entries(understood)) kind.__pulumiType = `sst:aws:${name}`;

const sst = tolerant('sst', {
  aws: sstNamespace('aws', understood),
  cloudflare: sstNamespace('cloudflare', {}),
  vercel: sstNamespace('vercel', {}),
  Secret: Object.assign(Secret, { __pulumiType: 'sst:sst:Secret' }),
  Linkable: Object.assign(Linkable, { __pulumiType: 'sst:sst:Linkable' }),
  Resource: class Resource extends Linkable {
    constructor(name, properties) {
      super(name, { properties });
    }
  },
  linkable: (kind, describe) => Linkable.wrap(kind, describe),
  x: { DevCommand: siteClass('sst:sst:DevCommand', otherTarget('sst', 'DevCommand')) },
});

function addTransform(kind, change) {
  const type = kind.__pulumiType;
  if (!transforms.has(type)) transforms.set(type, []);
  transforms.get(type).push(change);
}

function asset(file) {
  const full = path.resolve(ROOT, file);
  if (!fs.existsSync(full)) throw new Fault(`there is no file or folder \`${file}\` for $asset`, `a path from ${ROOT}`);
  return { path: full };
}

const globals = {
  $config: (config) => config,
  $app: app,
  $dev: true,
  $cli: tolerant('$cli', {
    command: 'dev',
    paths: { root: ROOT, home: ROOT, work: path.join(ROOT, '.sst'), platform: path.join(ROOT, '.sst/platform') },
    home: app.home,
    state: { version: {} },
  }),
  $util: util,
  $output: output,
  $resolve: all,
  $interpolate: interpolate,
  $concat: concat,
  $jsonParse: util.jsonParse,
  $jsonStringify: util.jsonStringify,
  $transform: addTransform,
  $linkable: sst.linkable,
  $asset: asset,
  $lazy: (make) => makeOutput((async () => settled(make()))()),
  $print: (...values) => all(values).apply((known) => console.log(...known)),
  sst,
};

// Providers that are namespaces without being declared, and those that app() declares:
// `@sst/planetscale` as `planetscale`.
function addProviders(names) {
  const all = ['aws', 'cloudflare', 'vercel', 'random', 'tls', 'command', ...names];
  for (const name of all.map((each) =>
    each
      .split('/')
      .pop()
      .replace(/-(\w)/g, (_, letter) => letter.toUpperCase()),
  )) {
    if (!(name in globalThis)) define(name, provider(name));
  }
}

// A program that is an argument finds every module of Node's as a global, which would
// hide providers of the same name, and Web Crypto.
function removeNodeModules() {
  const { webcrypto } = require('crypto');
  for (const name of Module.builtinModules.filter((each) => !['console', 'process'].includes(each)))
    delete globalThis[name];
  define('crypto', webcrypto);
}

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
}
