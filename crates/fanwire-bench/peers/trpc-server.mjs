// The peer for subscriptions: @trpc/server on npm's ws, each with its defaults.
//
//   node trpc-server.mjs PORT generator|observable
//
// A subscription is an async generator, as tRPC's documentation has them, or an observable, which it had before. Takes
// commands on standard input, one a line: `publish COUNT TEXT` sends TEXT to everyone in the room COUNT times.
import { EventEmitter, on } from 'node:events'
import { createInterface } from 'node:readline'
import { initTRPC } from '@trpc/server'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import { observable } from '@trpc/server/observable'
import { WebSocketServer } from 'ws'

const [port, style] = process.argv.slice(2)
const rooms = new EventEmitter().setMaxListeners(0)

const styles = {
  async *generator({ input, signal }) {
    for await (const [text] of on(rooms, input.room, { signal })) yield text
  },
  observable({ input }) {
    return observable((emit) => {
      rooms.on(input.room, emit.next)
      return () => rooms.off(input.room, emit.next)
    })
  },
}

const t = initTRPC.create()
const watch = (input) => {
  if (typeof input?.room !== 'string') throw new Error('which room?')
  return { room: input.room }
}
const router = t.router({ messages: t.procedure.input(watch).subscription(styles[style]) })
const wss = new WebSocketServer({ host: '127.0.0.1', port: Number(port), backlog: 4096 })
applyWSSHandler({ wss, router })

for await (const line of createInterface({ input: process.stdin })) {
  const [command, count, text] = line.split(' ')
  if (command !== 'publish') throw new Error(`unknown command: ${line}`)
  for (let sent = 0; sent < Number(count); sent++) rooms.emit('hall', text)
}
process.exit()
