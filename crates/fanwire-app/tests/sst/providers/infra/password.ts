import * as random from "@pulumi/random";
import { all, ComponentResource } from "@pulumi/pulumi";
import { physicalName } from "../.sst/platform/src/components/naming";
import s3 from "@pulumi/aws/s3";

export class Vault extends ComponentResource {
  constructor(name) {
    super("my:vault:Vault", name, {}, {});
    this.registerOutputs({ name: physicalName(64, name), parts: all([name]) });
  }
}

export const vault = new Vault("Vault");
export const bucket = new s3.Bucket("Direct");
export const password = new random.RandomPassword("Password", { length: 32, special: false });
