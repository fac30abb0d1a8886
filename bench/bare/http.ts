// The bare limit of an endpoint: node:http and pg doing the statements that Souk was seen to send for it, and nothing else.
// Usage: http.ts <database url> <file with {path: [[{text, values}]]}>; prints its address. The lists of a path, one per request, are taken in turn.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

import pg from 'pg'

interface Statement {
  text: string
  values: unknown[]
}

const [databaseUrl, file] = process.argv.slice(2)
const requests = JSON.parse(readFileSync(file!, 'utf8'), reviveBuffer) as Record<string, Statement[][]>
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, options: '-c jit=off -c random_page_cost=1.1' })
const names = new Map<string, string>()
let received = 0

const server = createServer((request, response) => {
  const lists = requests[request.url!]!
  answer(lists[received++ % lists.length]!).then(
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

async function answer(statements: readonly Statement[]): Promise<string> {
  let rows: unknown[] = []
  for (const { text, values } of statements) {
    const result = await pool.query({ name: nameOf(text), text, values })
    rows = result.rows
  }
  return JSON.stringify({ results: rows })
}

/** Digests are bytes, which JSON writes as an object. */
function reviveBuffer(_key: string, value: unknown): unknown {
  const isBuffer = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'
  return isBuffer ? Buffer.from((value as unknown as { data: number[] }).data) : value
}

function nameOf(text: string): string {
  const name = names.get(text) ?? `s${names.size}`
  names.set(text, name)
  return name
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`http://127.0.0.1:${address.port}\n`)
})
