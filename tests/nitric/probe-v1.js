// The service on SDKs since 1.0: key-value stores.

module.exports = function start(sdk) {
  const declared = sdk.kv('things');
  const things = declared.allow ? declared.allow('get', 'set', 'delete') : declared.for('getting', 'setting', 'deleting');
  require('./probe.js')(sdk, (socket) => ({
    set: async ({ id, content }) => ({ set: await things.set(id, content).then(() => id) }),
    get: async ({ id }) => ({ got: await things.get(id) }),
    delete: async ({ id }) => ({ deleted: await things.delete(id).then(() => id) }),
    keys: async ({ prefix }) => {
      const keys = [];
      for await (const key of things.keys(prefix)) keys.push(key);
      return { keys };
    },
    url: async () => ({ url: await socket.url() }),
  }));
};
