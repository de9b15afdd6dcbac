// Much that is not served, used as freely as on AWS.
export default $config({
  app: () => ({ name: "unknown-components", home: "aws" }),
  async run() {
    const vpc = new sst.aws.Vpc("Vpc", { nat: "managed", bastion: true });
    const cluster = new sst.aws.Cluster("Cluster", { vpc });
    const database = new sst.aws.Postgres("Database", { vpc, dev: { host: "localhost", port: 5432 } });
    const queue = new sst.aws.Queue("Queue", { fifo: true });
    queue.subscribe({ handler: "src/queue.handler", link: [database] }, { batch: { size: 1 } });
    const bucket = new sst.aws.Bucket("Uploads", { access: "public" });
    bucket.notify({ notifications: [{ name: "made", function: "src/made.handler", events: ["s3:ObjectCreated:*"] }] });
    new sst.aws.Cron("Cron", { schedule: "rate(1 minute)", job: "src/cron.handler" });
    const topic = sst.aws.SnsTopic.get("Topic", "arn:aws:sns:us-east-1:123456789012:topic");
    const future = new sst.aws.NeverHeardOf("Future", { anything: [vpc, cluster] });
    const subnets = vpc.privateSubnets.apply((ids) => ids.map((id) => id.toUpperCase()).join(","));
    const ports = database.port.apply((port) => port + 1);
    for (const user of await Promise.all([future.users])) user.call("everything");
    cluster.nodes.cluster.settings.apply((settings) => settings.find((one) => one.name === "x")?.value.first.second());

    new sst.aws.Function("Worker", {
      handler: "src/worker.handler",
      vpc,
      link: [database, queue, bucket, topic, future],
      permissions: [{ actions: ["ses:*"], resources: [bucket.arn, $interpolate`${bucket.arn}/*`] }],
      environment: { SUBNETS: subnets, PORT: $interpolate`${ports}`, QUEUE: queue.url },
      url: { cors: { allowOrigins: ["*"] } },
      nodejs: { install: ["sharp"], esbuild: { external: ["sharp"] } },
    });
    return { uploads: bucket.name, service: future.deep.member[0].of.it };
  },
});
