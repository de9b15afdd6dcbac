// The way of SST's monorepo template: infrastructure in files that run() imports.
export default $config({
  app: () => ({ name: "dynamic-imports", home: "aws" }),
  async run() {
    const { api } = await import("./infra");
    const [storage, again] = await Promise.all([import("./infra/storage.ts"), import("./infra/storage.js")]);
    if (storage.table !== again.table) throw new Error("a file is one module, however it is imported");
    return { api: api.url, table: storage.table.name };
  },
});
