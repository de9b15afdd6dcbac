// The peer for idle connections and broadcasts: npm's ws, with its defaults (no compression).
//
// Takes commands on standard input, one a line: `broadcast COUNT TEXT` sends TEXT to every client COUNT times.
import { createInterface } from 'node:readline'
import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 })

for await (const line of createInterface({ input: process.stdin })) {
  const [command, count, text] = line.split(' ')
  if (command !== 'broadcast') throw new Error(`unknown command: ${line}`)
  for (let sent = 0; sent < Number(count); sent++) {
    for (const client of server.clients) client.send(text)
  }
}
process.exit()
