// The bare limit of an endpoint: node:http and pg doing the statements that Souk was seen to send for it, and nothing else.
// Usage: http.ts <database url> <file with {path: [[{text, values}]]}>; prints its address. The lists of a path, one per request, are taken in turn.
import pg from 'pg'

import { serve } from './server.ts'
import { named, readStatements, type Statement } from './statements.ts'

const [databaseUrl, file] = process.argv.slice(2)
const requests = readStatements(file!) as Record<string, Statement[][]>
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, options: '-c jit=off -c random_page_cost=1.1' })
let received = 0

serve(async ({ url }) => {
  const lists = requests[url!]!
  let rows: unknown[] = []
  for (const statement of lists[received++ % lists.length]!) ({ rows } = await pool.query(named(statement)))
  return JSON.stringify({ results: rows })
})
