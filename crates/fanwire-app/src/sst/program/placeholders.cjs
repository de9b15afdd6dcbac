
// === Placeholders ===

// The values of what is not served here. Whatever code does with one, it goes on: it is
// a text that says what it stands for, a list of one, and an object that has everything,
// functions too.

const ofArrays = (name) => !(name in String.prototype) && typeof Array.prototype[name] === 'function';

function placeholder(name, target = {}) {
  const text = `not-served:${name}`;
  const known = {
    toString: () => text,
    valueOf: () => text,
    toJSON: () => text,
    apply: (run) => makeOutput((async () => settled(run(it)))()),
  };
  const it = new Proxy(target, {
    get(_, key) {
      if (key === PLACEHOLDER) return text;
      if (key === Symbol.toPrimitive) return () => text;
      if (key === Symbol.iterator) return [][Symbol.iterator];
      if (typeof key === 'symbol' || key === 'then' || key === 'getSSTLink') return undefined;
      if (Object.hasOwn(known, key)) return known[key];
      if (typeof String.prototype[key] === 'function') return (...args) => text[key](...args);
      if (ofArrays(key)) return (...args) => [it][key](...args);
      if (key === 'length') return text.length;
      return placeholder(`${name}.${key}`, function member() {});
    },
    has: () => true,
    set: () => true,
    apply: () => placeholder(`${name}()`),
    construct: () => placeholder(name),
  });
  return it;
}

// What a placeholder's member is: something that is an output, and can be called too.
function placeholderOutput(name) {
  const value = placeholder(name);
  return new Proxy(function output() {}, {
    get(_, key) {
      if (key === OUTPUT) return Promise.resolve(value);
      if (key === 'apply') return (run) => METHODS.apply(Promise.resolve(value), run);
      if (key === 'toString' || key === Symbol.toPrimitive) return () => String(value);
      if (key === 'toJSON') return () => String(value);
      if (typeof key === 'symbol' || key === 'then' || key === 'getSSTLink') return undefined;
      return placeholderOutput(`${name}.${key}`);
    },
    has: (_, key) => key === OUTPUT,
    set: () => true,
    apply: () => placeholderOutput(`${name}()`),
    construct: () => placeholderOutput(name),
    getPrototypeOf: () => Output.prototype,
  });
}
