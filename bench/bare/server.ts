import { createServer, type IncomingMessage } from 'node:http'

/** Answers every request with the JSON text that `answer` returns, 500 where it throws; prints the address on a free port of this machine. */
export function serve(answer: (request: IncomingMessage) => Promise<string>): void {
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        response.end(body)
      },
      (error: Error) => {
        response.writeHead(500)
        response.end(error.message)
      },
    )
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (typeof address === 'object' && address !== null) process.stdout.write(`http://127.0.0.1:${address.port}\n`)
  })
}

/** The whole body as JSON. */
export async function readJson<T>(request: IncomingMessage): Promise<T> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString()) as T
}
