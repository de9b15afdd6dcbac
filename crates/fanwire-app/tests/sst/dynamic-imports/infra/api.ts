import { table } from "./storage";
import { prefix } from "@dynamic/core/names";
import settings from "../settings.json";
import { join } from "node:path";

// A module may wait at its top.
const route = await Promise.resolve(join("src", "say.handler"));

export const api = new sst.aws.ApiGatewayWebSocket("Api");
api.route("say", { handler: route, link: [table, api], environment: { ROOM: `${prefix}${settings.room}` } });

export const url = () => api.url;
