// The bare limit of fan-out: `ws` without compression sending one ready text to every socket. `GET /?count=N` sends N texts.
// Usage: fan-out.ts <bytes per text>; prints its address.
import { createServer } from 'node:http'

import { WebSocketServer } from 'ws'

const text = Buffer.alloc(Number(process.argv[2] ?? 400), 'x')
const server = createServer((request, response) => {
  const count = Number(new URL(request.url ?? '/', 'http://localhost').searchParams.get('count') ?? 0)
  for (let n = 0; n < count; n++) {
    for (const socket of sockets.clients) socket.send(text, { binary: false })
  }
  response.end()
})
const sockets = new WebSocketServer({ server, perMessageDeflate: false })

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`http://127.0.0.1:${address.port}\n`)
})
