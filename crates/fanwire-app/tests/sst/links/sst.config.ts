// What functions find by name.
export default $config({
  app: () => ({ name: "links", home: "aws" }),
  async run() {
    const given = new sst.Secret("Given");
    const ofStage = new sst.Secret("OfStage");
    const fallback = new sst.Secret("Fallback", "a placeholder");
    const missing = new sst.Secret("Missing");
    const settings = new sst.Linkable("Settings", {
      properties: { depth: { list: [1, "two", true] }, secret: given.value },
      include: [
        sst.aws.permission({ actions: ["s3:*"], resources: ["*"] }),
        { type: "environment", env: { BROUGHT: "along" } },
      ],
    });
    sst.Linkable.wrap(aws.sns.Topic, (topic) => ({ properties: { arn: topic.arn, given: topic.name } }));
    const topic = new aws.sns.Topic("Topic");
    const bucket = new sst.aws.Bucket("Uploads");
    const queue = new sst.aws.Queue("Jobs");
    const other = new sst.aws.Function("Other", { handler: "src/other.handler" });
    new sst.aws.Function("Reader", {
      handler: "src/reader.handler",
      link: [given, ofStage, fallback, missing, settings, topic, bucket, queue, other],
      environment: sst.Linkable.env([fallback]),
    });
  },
});
