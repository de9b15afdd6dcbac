/* What `sst` writes of an app's links. */
declare module "sst" {
  export interface Resource {
    ChatToken: { type: "sst.sst.Secret"; value: string };
    MyRealtime: { type: "sst.aws.Realtime"; endpoint: string; authorizer: string };
  }
}
export {};
