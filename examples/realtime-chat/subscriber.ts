import { IoTDataPlaneClient, PublishCommand } from "@aws-sdk/client-iot-data-plane";
import { Resource } from "sst";

// It names no endpoint: on AWS the SDK knows one, and Fanwire sets another.
const data = new IoTDataPlaneClient();
const topic = `${Resource.App.name}/${Resource.App.stage}/sst-chat`;

/** Gets what everyone says, and throws a die for whoever says `/roll`. */
export const handler = async ({ from, text }: { from: string; text: string }) => {
  console.log(`${from}: ${text}`);
  if (text !== "/roll") return;
  const thrown = { from: "die", text: `${from} has ${1 + Math.floor(6 * Math.random())}` };
  await data.send(new PublishCommand({ topic, payload: Buffer.from(JSON.stringify(thrown)) }));
};
