export default {
  app: () => ({ name: "two", home: "aws" }),
  run: async () => (await import("../shared/infra")).shared("Two"),
};
