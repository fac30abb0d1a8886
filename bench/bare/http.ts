// The bare limit of an endpoint: node:http and pg doing the statements that Souk was seen to send for it, and nothing else.
// Usage: http.ts <database url> <file with [{text, values}]>; prints its address.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

import pg from 'pg'

interface Statement {
  text: string
  values: unknown[]
}

const [databaseUrl, file] = process.argv.slice(2)
const statements = JSON.parse(readFileSync(file!, 'utf8')) as Statement[]
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, options: '-c jit=off' })

const server = createServer((_request, response) => {
  answer().then(
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

async function answer(): Promise<string> {
  let rows: unknown[] = []
  for (const [index, { text, values }] of statements.entries()) {
    const result = await pool.query({ name: `s${index}`, text, values })
    rows = result.rows
  }
  return JSON.stringify({ results: rows })
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.stdout.write(`http://127.0.0.1:${address.port}\n`)
})
