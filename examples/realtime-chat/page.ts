import mqtt from "mqtt";

// Where a page of SST's example gets these from its server, as `Resource.MyRealtime`.
declare const ENDPOINT: string, AUTHORIZER: string, TOPIC: string;

function createConnection(endpoint: string, authorizer: string) {
  return mqtt.connect(`wss://${endpoint}/mqtt?x-amz-customauthorizer-name=${authorizer}`, {
    protocolVersion: 5,
    manualConnect: true,
    username: "", // Must be empty for the authorizer
    password: "PLACEHOLDER_TOKEN", // Passed as the token to the authorizer
    clientId: `client_${window.crypto.randomUUID()}`,
  });
}

const from = new URLSearchParams(location.search).get("name") ?? "Somebody";
const [form] = document.forms;
const [input] = form.querySelectorAll("input");
const [button] = form.querySelectorAll("button");
const [list] = document.querySelectorAll("ul");

const connection = createConnection(ENDPOINT, AUTHORIZER);
connection.on("connect", async () => {
  await connection.subscribeAsync(TOPIC, { qos: 1 });
  button.disabled = false;
});
connection.on("message", (_fullTopic, payload) => {
  const message = JSON.parse(new TextDecoder("utf8").decode(new Uint8Array(payload)));
  const line = document.createElement("li");
  line.textContent = `${message.from}: ${message.text}`;
  list.append(line);
});
connection.connect();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  connection.publish(TOPIC, JSON.stringify({ from, text: input.value }), { qos: 1 });
  input.value = "";
});
