
// === Outputs ===

// Values that are known later. As Pulumi's, they have `apply`, give outputs of their
// members, and cannot be awaited.

const OUTPUT = Symbol('output');
const MAKE_OUTPUT = Symbol('how a component is an output');
const PLACEHOLDER = Symbol('placeholder');

const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');
const isOutput = (value) => isObject(value) && value[OUTPUT] !== undefined;
const isPlaceholder = (value) => isObject(value) && value[PLACEHOLDER] !== undefined;
const isPlain = (value) => {
  const kind = Object.getPrototypeOf(value);
  return kind === Object.prototype || kind === null;
};

// Those that nobody has waited for yet. A fault in one is a fault of the app.
let unsettled = [];

const METHODS = {
  apply(promise, run) {
    return makeOutput(promise.then((value) => settled(run(value))));
  },
  toString() {
    const place = here();
    note('an output is made into text here', 'write $interpolate`…${output}…`, or output.apply(…)', place);
    return '(an output; use $interpolate)';
  },
  toJSON() {
    note('an output is made into JSON here', 'write $jsonStringify(…), or output.apply(…)', here());
    return '(an output; use $jsonStringify)';
  },
  // Pulumi's own: the value itself, for those who know what they do.
  promise: (promise) => promise,
  isKnown: async () => true,
};

function makeOutput(promise) {
  promise.catch(() => {});
  unsettled.push(promise);
  return new Proxy(function output() {}, {
    get(_, key) {
      if (key === OUTPUT) return promise;
      if (Object.hasOwn(METHODS, key)) return (...args) => METHODS[key](promise, ...args);
      if (typeof key === 'symbol' || key === 'then' || key === 'getSSTLink') return undefined;
      return makeOutput(promise.then((value) => settled(member(value, key))));
    },
    has: (_, key) => key === OUTPUT || Object.hasOwn(METHODS, key),
    getPrototypeOf: () => Output.prototype,
  });
}

function member(value, key) {
  return value === undefined || value === null ? undefined : value[key];
}

class Output {
  static isInstance = isOutput;
  static create = (value) => output(value);
}

// How deep a value is looked into: deeper ones are no configuration.
const MAX_DEPTH = 40;

// The value without outputs and promises in it.
async function settled(value, depth = 0) {
  if (!isObject(value) || isPlaceholder(value) || depth > MAX_DEPTH) return value;
  if (isOutput(value)) return value[OUTPUT];
  if (typeof value === 'function' || value instanceof Component) return value;
  if (typeof value.then === 'function') return settled(await value, depth + 1);
  if (Array.isArray(value)) return Promise.all(value.map((item) => settled(item, depth + 1)));
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).map(async ([key, item]) => [key, await settled(item, depth + 1)]);
  return Object.fromEntries(await Promise.all(entries));
}

function output(value) {
  return isOutput(value) ? value : makeOutput(settled(value));
}

// Also of an object, or of several arguments.
function all(values, ...others) {
  return output(others.length > 0 ? [values, ...others] : values);
}

function interpolate(texts, ...values) {
  return all([...values]).apply((found) =>
    texts.map((text, at) => text + (at < found.length ? shown(found[at]) : '')).join(''),
  );
}

function concat(...values) {
  return all([...values]).apply((found) => found.map(shown).join(''));
}

const shown = (value) => (value instanceof Component ? value.__name : String(value));

async function allSettled() {
  while (unsettled.length > 0) {
    const waiting = unsettled;
    unsettled = [];
    await Promise.all(waiting);
  }
}
