
// === Components ===

const app = { name: '', stage: settings.stage, removal: 'retain', protect: false, providers: {} };

// What was declared, in order.
const declared = { functions: [], realtime: [], websocket: [], tables: [], sites: [], notServed: [] };
// The components that have links, by name; and the names in lower case, of which none may come twice.
const linked = new Map();
const names = new Map();

const physicalName = (name) => `${app.name}-${app.stage}-${name}`;
const arnOf = (service, rest) => `arn:aws:${service}:${settings.region}:${settings.account}:${rest}`;

// Callbacks of $transform by the type of component.
const transforms = new Map();

// What everything that is made with `new` is, of SST's and of any provider's.
class Component {
  constructor(type, name, args, opts) {
    if (typeof name !== 'string')
      throw new Fault(
        `a ${dotted(type)} is given ${preview(name)} for its name`,
        'its first argument is its name, a text',
      );
    this.__type = type;
    this.__name = name;
    this.__opts = opts || {};
    this.__place = here();
    for (const change of transforms.get(type) || []) change(args, this.__opts, name);
    if (type.startsWith('sst:') && !this.__opts.parent) checkName(type, name);
    linked.set(name, this);
  }

  get urn() {
    return output(`urn:pulumi:${app.stage}::${app.name}::${this.__type}::${this.__name}`);
  }

  get id() {
    return output(this.__name);
  }

  getProvider() {}

  registerOutputs() {}
}

function checkName(type, name) {
  const known = names.get(name.toLowerCase());
  if (name.toLowerCase() === 'app')
    throw new Fault(`the component name \`${name}\` is taken by SST itself`, 'give it another name');
  if (!/^[A-Za-z][A-Za-z0-9]*$/.test(name)) {
    throw new Fault(`\`${name}\` is not a valid name of a component`, 'a letter, then letters and digits, as in SST');
  }
  if (known)
    throw new Fault(
      `two components have the name \`${name}\`: ${known} and ${dotted(type)}`,
      'give one of them another name',
    );
  names.set(name.toLowerCase(), dotted(type));
}

const dotted = (type) => type.replaceAll(':', '.');

function notServed(kind, name) {
  declared.notServed.push({ kind, name });
}

// Calls a `transform` on the plain object that it is about, and returns that.
function transformed(change, args, name) {
  if (typeof change !== 'function') return Object.assign(args, change);
  change(args, {}, name);
  return args;
}

// === Links ===

const isLinkable = (value) =>
  isObject(value) && !isPlaceholder(value) && !isOutput(value) && typeof value.getSSTLink === 'function';

// The names of what is linked, and the environment that some of it brings along.
async function linksOf(links) {
  const found = { names: [], environment: {} };
  for (const link of (await settled(links)) || []) {
    if (link === undefined || link === null)
      throw new Fault('something undefined is in a `link`', 'is it declared before, and exported?');
    if (!isLinkable(link)) continue;
    found.names.push(link.__name);
    for (const { type, env } of (await settled(link.getSSTLink().include)) || []) {
      if (type === 'environment') Object.assign(found.environment, await settled(env));
    }
  }
  return found;
}

// The properties of a link, with those that the environment has in their place.
async function propertiesOf(component) {
  const { properties } = component.getSSTLink();
  const own = await settled({ ...properties });
  return { ...own, type: dotted(component.__type), ...givenProperties(component) };
}

function givenProperties({ __name: name, __place: place }) {
  const variable = `SST_RESOURCE_${name}`;
  const text = process.env[variable];
  if (text === undefined) return {};
  try {
    const given = JSON.parse(text);
    if (isObject(given) && !Array.isArray(given)) return given;
  } catch (_) {}
  note(`the variable ${variable} is not a JSON object, and has no effect`, `${variable}={"name":"…"}`, place);
  return {};
}

// === Functions ===

// Declares a function: by a handler, by the arguments of one, or by an ARN. Returns what
// routes and subscribers refer to, which is described in full once all is known.
function declareFunction(name, given, place, isComponent = false) {
  const same = declared.functions.filter((known) => known.wanted === name).length;
  const key = same === 0 ? name : `${name}${same + 1}`;
  const entry = { key, wanted: name, place };
  declared.functions.push(entry);
  entry.known = described(
    describeFunction(key, given, isComponent).then((known) => Object.assign(entry, known)),
    place,
  );
  return entry;
}

// What is waited for at the end; a fault in it is one of the place.
function described(promise, place) {
  const placed = promise.catch((error) => {
    if (error instanceof Fault && !error.place) error.place = place;
    throw error;
  });
  placed.catch(() => {});
  unsettled.push(placed);
  return placed;
}

async function describeFunction(name, given, isComponent) {
  const definition = await settled(given);
  if (definition instanceof Component && definition.__function) return { sameAs: definition.__function.key };
  if (typeof definition === 'string' && definition.startsWith('arn:')) return describeArn(definition);
  const args = typeof definition === 'string' ? { handler: definition } : { ...definition };
  if (!isComponent) callTransforms(args, name);
  const handler = await settled(args.handler);
  if (typeof handler !== 'string' && !isPlaceholder(handler)) {
    throw new Fault(`the function \`${name}\` has no handler`, 'handler: "path/to/file.function"');
  }
  const links = await linksOf(args.link);
  const plain = await settled({ ...args, link: undefined });
  const made = transformed((plain.transform || {}).function, lambdaOf(name, plain), `${name}Function`);
  if (plain.url) notServed('function URL', name);
  return {
    name: text(made.name),
    handler: text(handler),
    bundle: plain.bundle === undefined ? undefined : text(plain.bundle),
    runtime: text(plain.runtime || 'nodejs22.x'),
    timeout: Number(made.timeout),
    memory: Number(made.memorySize),
    environment: { ...links.environment, ...((await settled(made.environment)) || {}).variables },
    links: links.names,
    concurrency: (plain.concurrency || {}).reserved,
  };
}

// A function of this app's has an ARN, too.
function describeArn(arn) {
  const own = declared.functions.find((entry) => arn === functionArn(entry.key));
  return own ? { sameAs: own.key } : { arn };
}

const functionArn = (name) => arnOf('lambda', `function:${physicalName(name)}`);

// Those of `$transform(sst.aws.Function, …)`, for a function that another component makes.
function callTransforms(args, name) {
  for (const change of transforms.get('sst:aws:Function') || []) change(args, {}, name);
}

// The arguments of the resource in AWS, which `transform` changes.
function lambdaOf(name, args) {
  return {
    name: args.name || physicalName(name),
    handler: args.handler,
    runtime: args.runtime,
    timeout: seconds(args.timeout, 20),
    memorySize: megabytes(args.memory, 1024),
    environment: { variables: { ...args.environment } },
    layers: [],
    tags: {},
  };
}

const text = (value) => (value === undefined || value === null ? undefined : String(value));

const SECONDS = { second: 1, minute: 60, hour: 3600, day: 86400 };

function seconds(duration, otherwise) {
  if (duration === undefined) return otherwise;
  const [, count, unit] = /^(\d+(?:\.\d+)?) (second|minute|hour|day)s?$/.exec(duration) || [];
  if (!unit)
    throw new Fault(`${preview(duration)} is not a length of time`, 'a text such as "30 seconds" or "2 minutes"');
  return Number(count) * SECONDS[unit];
}

function megabytes(size, otherwise) {
  if (size === undefined) return otherwise;
  const [, count, unit] = /^(\d+(?:\.\d+)?) (MB|GB)$/.exec(size) || [];
  if (!unit) throw new Fault(`${preview(size)} is not a size`, 'a text such as "512 MB" or "2 GB"');
  return Number(count) * (unit === 'GB' ? 1024 : 1);
}
