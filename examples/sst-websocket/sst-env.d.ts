/* What `sst` writes of an app's links. */
declare module "sst" {
  export interface Resource {
    Archive: { type: "sst.aws.Bucket"; name: string };
    Connections: { type: "sst.aws.Dynamo"; name: string };
    MyApi: { type: "sst.aws.ApiGatewayWebSocket"; url: string; managementEndpoint: string };
  }
}
export {};
