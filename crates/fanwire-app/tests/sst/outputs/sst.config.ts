// Values that are known later, in every way that the documentation has.
export default $config({
  app: () => ({ name: "outputs", home: "aws" }),
  async run() {
    const table = new sst.aws.Dynamo("Table", { fields: { id: "string" }, primaryIndex: { hashKey: "id" } });
    const bucket = new sst.aws.Bucket("Bucket");
    const later = new Promise((resolve) => setTimeout(() => resolve({ deep: { value: "waited" } }), 5));
    const known = $output(later);

    new sst.aws.Function("Fn", {
      handler: $output("src").apply((folder) => `${folder}/fn.handler`),
      memory: $output("256 MB"),
      environment: {
        TABLE: table.name,
        UPPER: table.name.apply((name) => name.toUpperCase()),
        TEXT: $interpolate`${table.name}/${known.deep.value}/${1}`,
        JOINED: $concat(table.name, "-", "end"),
        ALL: $resolve([table.name, known.deep.value]).apply(([name, value]) => `${name}+${value}`),
        OBJECT: $resolve({ a: table.name, b: [known.deep.value] }).apply(({ a, b: [b] }) => a + b),
        JSON: $jsonStringify({ table: table.name, list: [1, known.deep.value] }),
        PARSED: $jsonParse($jsonStringify({ x: { y: table.name } })).x.y,
        NESTED: $output(1).apply((one) => $output(Promise.resolve(one + 1))).apply((two) => String(two * 21)),
        UTIL: $util.all([table.arn]).apply(([arn]) => arn),
        LAZY: $lazy(() => table.name),
        NUMBER: 7,
        NOTHING: undefined,
        BUCKET: bucket.arn.apply((arn) => arn.split(":").at(-1)),
      },
    });
    $print("the table is", table.name);
    return { table: table.name, bucket: bucket.domain, nested: { later, known } };
  },
});
