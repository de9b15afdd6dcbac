export default $config({
  app: () => ({ name: "one", home: "local" }),
  async run() {
    const { shared } = await import("./infra/shared");
    shared("One");
  },
});
