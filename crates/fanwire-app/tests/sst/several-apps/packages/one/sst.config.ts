export default $config({
  app: () => ({ name: "one", home: "local" }),
  async run() {
    const { shared } = await import("../shared/infra");
    shared("One");
  },
});
