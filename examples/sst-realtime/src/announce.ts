import { IoTDataPlaneClient, PublishCommand } from "@aws-sdk/client-iot-data-plane";

const client = new IoTDataPlaneClient();

/** Tells everybody in the lobby. */
export async function handler({ text }: { text: string }) {
  const payload = Buffer.from(JSON.stringify({ from: "The house", text }));
  await client.send(new PublishCommand({ topic: process.env.TOPIC, payload, qos: 1 }));
  return { told: process.env.TOPIC };
}
