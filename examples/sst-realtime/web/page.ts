/// <reference types="vite/client" />
import mqtt from "mqtt";

const { VITE_ENDPOINT, VITE_AUTHORIZER, VITE_TOPIC: topic } = import.meta.env;
const query = new URLSearchParams(location.search);
const from = query.get("name") ?? "Somebody";

const state = document.querySelector("#state")!;
const list = document.querySelector("ul")!;
const form = document.querySelector("form")!;
const input = document.querySelector("input")!;
const button = document.querySelector("button")!;

const connection = mqtt.connect(`wss://${VITE_ENDPOINT}/mqtt?x-amz-customauthorizer-name=${VITE_AUTHORIZER}`, {
  protocolVersion: 5,
  manualConnect: true,
  username: "", // Must be empty for the authorizer
  password: query.get("token") ?? "PLACEHOLDER_TOKEN", // Passed as the token to the authorizer
  clientId: `client_${crypto.randomUUID()}`,
});

connection.on("connect", async () => {
  try {
    await connection.subscribeAsync(topic, { qos: 1 });
    state.textContent = `in the lobby as ${from}`;
    button.disabled = false;
  } catch (error) {
    state.textContent = `refused: ${(error as Error).message}`;
    connection.end();
  }
});
connection.on("message", (_topic, payload) => {
  const message = JSON.parse(new TextDecoder().decode(payload));
  const line = document.createElement("li");
  line.textContent = `${message.from}: ${message.text}`;
  list.append(line);
});
connection.connect();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  connection.publish(topic, JSON.stringify({ from, text: input.value }), { qos: 1 });
  input.value = "";
});
