// The bare limit of an endpoint that writes: node:http and pg doing the statements that Souk was seen to send for it, the first (whose
// token is it?) by itself and the rest in one transaction, with new ids in place of those that were made then. What was recorded as changes
// goes into a table of the same columns and indexes that nobody reads.
// Usage: transaction.ts <database url> <file with {since, lists: [[{text, values}]]}>; prints its address. The lists are taken in turn.
import { randomUUID } from 'node:crypto'

import pg from 'pg'

import { readJson, serve } from './server.ts'
import { named, readStatements, type Statement } from './statements.ts'

const [databaseUrl, file] = process.argv.slice(2)
const { since, lists } = readStatements(file!) as { since: number; lists: Statement[][] }
const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, options: '-c jit=off -c random_page_cost=1.1' })
await pool.query('CREATE TABLE IF NOT EXISTS bare_outbox (LIKE outbox INCLUDING ALL)')

const UUID_V7 = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g
/** Each list, and the ids that Souk made while it was recorded. */
const recorded = lists.map((list) => {
  const statements = list.map(({ text, values }) => ({
    text: text.replace('INTO outbox ', 'INTO bare_outbox '),
    values,
  }))
  const ids = statements.flatMap(({ values }) => values.flatMap((value) => String(value).match(UUID_V7) ?? []))
  return { statements, made: [...new Set(ids)].filter((id) => madeAt(id) >= since) }
})
let received = 0

serve(async (request) => {
  await readJson(request)
  const { statements, made } = recorded[received++ % recorded.length]!
  const [first, ...rest] = renewed(statements, made)
  await pool.query(named(first!))
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const results: unknown[] = []
    for (const statement of rest) results.push((await client.query(named(statement))).rows)
    // Without units of all that is wanted, the statement that takes them writes nothing.
    if (JSON.stringify(results).includes('"rest":-')) throw new Error('too few units')
    await client.query('COMMIT')
    return JSON.stringify({ results })
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
})

/** The statements with other ids in place of `made`, the same everywhere for the same. */
function renewed(statements: readonly Statement[], made: readonly string[]): Statement[] {
  const fresh = new Map(made.map((id) => [id, randomUUID()]))
  const renew = (value: unknown): unknown =>
    typeof value === 'string' && value.length >= 36 ? value.replace(UUID_V7, (id) => fresh.get(id) ?? id) : value
  return statements.map(({ text, values }) => ({ text, values: values.map(renew) }))
}

/** The first 48 bits of a UUIDv7 are Unix milliseconds (RFC 9562, section 5.7). */
function madeAt(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
