import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { copyRow, copyRows } from './copy.ts'
import type { Tx } from './db.ts'
import { sql } from './sql.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
  await database.db.run(sql`CREATE TABLE copied (place integer PRIMARY KEY, note text, flag boolean)`)
})
afterAll(() => database.drop())

const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0') && value.isWellFormed())
const rolledBack = new Error('rolled back on purpose')

/** What `work` returns, with nothing of what it did left. */
async function inTransaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  let result: T | undefined
  const run = database.db.transaction(async (tx) => {
    result = await work(tx)
    throw rolledBack
  })
  await run.catch((error: unknown) => {
    if (error !== rolledBack) throw error
  })
  return result!
}

it('stores every text as it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(text), { minLength: 1 }), async (notes) => {
      const stored = await inTransaction(async (tx) => {
        const rows = notes.map((note, place) => copyRow([place, note, place % 2 === 0]))
        await copyRows(tx, 'copied (place, note, flag)', rows)
        return tx.rows<{ note: string | null }>(sql`SELECT note FROM copied ORDER BY place`)
      })

      expect(stored.map((row) => row.note)).toEqual(notes)
    }),
    { numRuns: 200 },
  )
})

it('takes what COPY gives a meaning for text', async () => {
  const notes = ['\\N', '\\.', '', '\\', '\t', 'a\nb\r\n', 'NULL']

  const stored = await inTransaction(async (tx) => {
    await copyRows(tx, 'copied (place, note, flag)', [notes.map((note, n) => copyRow([n, note, null])).join('')])
    return tx.rows<{ note: string }>(sql`SELECT note FROM copied ORDER BY place`)
  })

  expect(stored.map((row) => row.note)).toEqual(notes)
})

it('counts the rows, and takes none', async () => {
  const counts = await inTransaction(async (tx) => [
    await copyRows(tx, 'copied (place)', []),
    await copyRows(tx, 'copied (place)', ['1\n2\n', '3\n']),
  ])

  expect(counts).toEqual([0, 3])
})

it('sends pieces far larger than the buffers of the connection', async () => {
  const long = 'x'.repeat(1_000_000)
  const pieces = Array.from({ length: 20 }, (_, n) => copyRow([n, long, true]))

  const count = await inTransaction((tx) => copyRows(tx, 'copied (place, note, flag)', pieces))

  expect(count).toBe(20)
})

it('leaves the connection usable after a row is refused, also by another COPY', async () => {
  const count = await inTransaction(async (tx) => {
    await tx.run(sql`SAVEPOINT before_copy`)
    const pieces = Array.from({ length: 50 }, (_, n) => copyRow([n === 2 ? 1 : n, 'x'.repeat(100_000), true]))
    await expect(copyRows(tx, 'copied (place, note, flag)', pieces)).rejects.toMatchObject({ code: '23505' })
    await tx.run(sql`ROLLBACK TO SAVEPOINT before_copy`)
    return copyRows(tx, 'copied (place, note, flag)', pieces.slice(3))
  })

  expect(count).toBe(47)
})

it('throws what the maker of the rows throws and leaves the connection usable', async () => {
  function* broken(): Generator<string> {
    yield copyRow([1, 'one', true])
    throw new Error('no more rows')
  }

  const after = await inTransaction(async (tx) => {
    await tx.run(sql`SAVEPOINT before_copy`)
    await expect(copyRows(tx, 'copied (place, note, flag)', broken())).rejects.toThrow('no more rows')
    await tx.run(sql`ROLLBACK TO SAVEPOINT before_copy`)
    return tx.row(sql`SELECT count(*) AS n FROM copied`)
  })

  expect(after).toEqual({ n: 0 })
})

it('throws when the connection is lost in the middle', async () => {
  let sent = 0
  function* endless(pid: number): Generator<string> {
    for (;;) {
      sent += 1
      if (sent === 20) void database.db.run(sql`SELECT pg_terminate_backend(${pid})`)
      yield copyRow([sent, 'x'.repeat(100_000), true])
    }
  }

  const lost = database.db.transaction(async (tx) => {
    const row = await tx.row<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`)
    await copyRows(tx, 'copied (place, note, flag)', endless(row!.pid))
  })

  await expect(lost).rejects.toThrow(/terminat|connection|ECONNRESET|EPIPE/i)
  expect(sent).toBeGreaterThanOrEqual(20)
})
