import { url } from "./api";

export const table = new sst.aws.Dynamo("Rooms", { fields: { id: "string" }, primaryIndex: { hashKey: "id" } });

// Two files that import each other.
export const both = () => [url(), table.name];
