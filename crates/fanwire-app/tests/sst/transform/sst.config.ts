// Defaults for all, and changes of what lies beneath.
export default $config({
  app: () => ({ name: "transform", home: "aws" }),
  async run() {
    $transform(sst.aws.Function, (args, opts, name) => {
      args.runtime ??= "nodejs20.x";
      args.environment = { ...args.environment, NAMED: name };
    });
    $transform(sst.aws.Bucket, (args) => {
      args.versioning = true;
    });
    $transform(aws.lambda.Function, (args) => {
      args.tags = { ...args.tags, team: "chat" };
    });

    new sst.aws.Function("Plain", {
      handler: "src/plain.handler",
      transform: {
        function: (args, opts) => {
          args.name = `${args.name}-renamed`;
          args.timeout = 7;
          args.environment.variables.ADDED = "yes";
          opts.retainOnDelete = true;
        },
        role: { name: "role" },
      },
    });

    const table = new sst.aws.Dynamo("Table", {
      fields: { id: "string" },
      primaryIndex: { hashKey: "id" },
      transform: { table: { name: "chosen-name", tags: { a: "b" } } },
    });

    const realtime = new sst.aws.Realtime("Live", {
      authorizer: "src/authorizer.handler",
      transform: { authorizer: (args) => void (args.name = "the-authorizer") },
    });
    realtime.subscribe("src/subscriber.handler", {
      filter: "a/b",
      transform: { topicRule: (args) => void (args.sql = "SELECT text FROM 'a/+' WHERE loud = true") },
    });

    const api = new sst.aws.ApiGatewayWebSocket("Api", {
      transform: {
        api: (args) => void (args.routeSelectionExpression = "$request.body.type"),
        stage: (args) => void (args.stageVariables = { color: "blue" }),
        route: { handler: (args) => void (args.link = [table]), args: (props) => void (props.auth = { iam: true }) },
      },
    });
    api.route("$default", "src/default.handler");

    new sst.aws.Bucket("Bucket", {
      transform: { bucket: (args) => void (args.lifecycleRules[0].enabled = true) },
    });
  },
});
