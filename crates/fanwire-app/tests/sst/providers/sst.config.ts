// Resources of Pulumi's providers, by globals and by imports.
export default $config({
  app: () => ({
    name: "providers",
    home: "aws",
    providers: { aws: "6.0.0", random: "4.16.6", "@pulumi/azure-native": "2.0.0", planetscale: { version: "0.0.7" } },
  }),
  async run() {
    const { RandomPassword } = await import("@pulumi/random");
    const pulumi = await import("@pulumi/pulumi");
    const { password } = await import("./infra/password");

    const identity = await aws.getCallerIdentity({});
    const region = aws.getRegionOutput({}).name;
    const role = new aws.iam.Role("Role", {
      assumeRolePolicy: aws.iam.getPolicyDocumentOutput({ statements: [] }).json,
      managedPolicyArns: [aws.iam.ManagedPolicy.AWSLambdaBasicExecutionRole],
    });
    const rule = new aws.cloudwatch.EventRule("Rule", { scheduleExpression: "rate(1 hour)" }, { parent: role, dependsOn: [role] });
    const zone = cloudflare.getZoneOutput({ name: "example.com" });
    new cloudflare.Record("Record", { zoneId: zone.id, name: "chat" });
    new planetscale.Database("Planet", { name: "chat" });
    new azureNative.storage.StorageAccount("Azure");
    const key = new tls.PrivateKey("Key", { algorithm: "ED25519" });
    const other = new RandomPassword("Other", { length: 12 });

    new sst.aws.Function("Fn", {
      handler: "src/fn.handler",
      role: role.arn,
      environment: {
        ACCOUNT: identity.accountId,
        REGION: region,
        RULE: rule.arn,
        SECRET: pulumi.interpolate`${password.result}-${other.result}`,
        KEY: key.publicKeyOpenssh,
        STACK: pulumi.getStack(),
      },
    });
    return { zone: zone.id, provider: new aws.Provider("Oregon", { region: "us-west-2" }) };
  },
});
