// What the server's metrics say about messages.

/** Sums a metric's samples whose labels match. */
const total = (text, name, labels = /./) => text.split('\n')
  .filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)) && labels.test(line))
  .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);

/** Messages for clients: how many there were to be sent, were written, and were dropped; and the connections now. */
export async function balance(telemetry) {
  const text = await (await fetch(`http://${telemetry}/metrics`)).text();
  return {
    connections: total(text, 'fanwire_connections'),
    sent: total(text, 'fanwire_messages_routed_total'),
    delivered: total(text, 'fanwire_messages_sent_total'),
    dropped: total(text, 'fanwire_messages_dropped_total'),
  };
}
