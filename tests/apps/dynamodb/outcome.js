'use strict';

// JSON has neither bytes nor sets: they are {"$bytes": "base64"} and {"$set": […]} in events and results.

/** What a value of an event stands for. */
exports.decode = function decode(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  if ('$bytes' in value) return Buffer.from(value.$bytes, 'base64');
  if ('$set' in value) return new Set(value.$set);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, decode(each)]));
};

function encode(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (value instanceof Set) return { $set: [...value] };
  // A set of the SDK v2.
  if (value.wrapperName === 'Set') return { $set: value.values };
  if (Array.isArray(value)) return value.map(encode);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, encode(each)]));
}

/** What a call came to: its output, or its error and whether the SDK has given it its own class. */
exports.outcome = async function outcome(call, exceptions = {}) {
  try {
    const { $metadata, ...output } = await call;
    return { output: encode(output) };
  } catch (error) {
    const { name, message, Item, CancellationReasons } = error;
    const typed = name in exceptions && error instanceof exceptions[name];
    return { error: { name, message, typed, item: encode(Item), reasons: encode(CancellationReasons) } };
  }
};
