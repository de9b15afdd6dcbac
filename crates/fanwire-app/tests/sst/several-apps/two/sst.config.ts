// Without $config, which only helps editors, and with promises in place of async.
export default {
  app: () => Promise.resolve({ name: "two", home: "aws" }),
  run: () => import("./infra").then(({ declare }) => declare("Two")),
};
