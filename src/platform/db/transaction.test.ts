import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Tx } from './db.ts'
import { sql, type Sql } from './sql.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 1 })
  await database.db.run(sql`CREATE TABLE notes (place integer PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, text text)`)
})
beforeEach(() => database.db.run(sql`TRUNCATE notes`))
afterAll(() => database.drop())

const write = (place: number): Sql => sql`INSERT INTO notes VALUES (${place}, ${`note ${place}`})`
const written = async (): Promise<number[]> =>
  (await database.db.rows<{ place: number }>(sql`SELECT place FROM notes ORDER BY place`)).map(({ place }) => place)

it('writes what goes with the commit after all the rest, in order, and tells afterwards', async () => {
  const told: string[] = []

  const result = await database.db.transaction(async (tx) => {
    tx.withCommit(() => {
      told.push('made')
      return sql`UPDATE notes SET text = 'last' WHERE place = 2`
    })
    tx.withCommit(() => write(3))
    tx.afterCommit(() => told.push('committed'))
    await tx.run(write(1))
    await tx.run(write(2))
    told.push('done')
    return 'result'
  })

  expect(result).toBe('result')
  expect(told).toEqual(['done', 'made', 'committed'])
  expect(await database.db.rows(sql`SELECT place FROM notes WHERE text = 'last'`)).toEqual([{ place: 2 }])
  expect(await written()).toEqual([1, 2, 3])
})

it.each<[string, (tx: Tx) => Promise<unknown>, string]>([
  ['the work', (tx) => tx.run(write(1)).then(() => Promise.reject(new Error('changed my mind'))), 'changed my mind'],
  ['the work, before it sends anything', () => Promise.reject(new Error('not even begun')), 'not even begun'],
  [
    'what goes with the commit',
    async (tx) => {
      tx.withCommit(() => write(1))
      tx.withCommit(() => write(2))
      await tx.run(write(1))
    },
    'notes_pkey',
  ],
  [
    'the commit itself',
    async (tx) => {
      await tx.run(sql`SET CONSTRAINTS ALL DEFERRED`)
      await tx.run(write(1))
      await tx.run(write(1))
    },
    'notes_pkey',
  ],
  ['a statement nobody heard of', (tx) => tx.run(sql`SELECT 1 / 0`).catch(() => 'never mind'), 'was ignored'],
  ['the connection', (tx) => tx.run(sql`SELECT pg_terminate_backend(pg_backend_pid())`), 'terminating connection'],
])('leaves nothing of a transaction in which %s failed, and goes on', async (_, work, message) => {
  const told: string[] = []

  const failed = database.db.transaction(async (tx) => {
    tx.afterCommit(() => told.push('committed'))
    await work(tx)
  })

  await expect(failed).rejects.toThrow(message)
  expect(told).toEqual([])
  expect(await written()).toEqual([])
  await database.db.transaction((tx) => tx.run(write(7)))
  expect(await written()).toEqual([7])
})

it('runs the work again from its beginning when what goes with the commit meets a serialization failure', async () => {
  let runs = 0

  await database.db.transaction(async (tx) => {
    runs += 1
    await tx.run(write(runs))
    tx.withCommit(() => (runs < 3 ? serializationFailure : write(9)))
  })

  expect(await written()).toEqual([3, 9])
})

it('gives up after as many tries as were asked for', async () => {
  let runs = 0
  const failing = (tx: Tx): Promise<number> => {
    runs += 1
    return tx.run(serializationFailure)
  }

  await expect(database.db.transaction(failing, { retries: 2 })).rejects.toMatchObject({ code: '40001' })
  expect(runs).toBe(3)
})

const serializationFailure = sql`DO $$ BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = '40001'; END $$`

it('does not run the work behind a BEGIN that is refused', async () => {
  let hasRun = false
  const work = (tx: Tx): Promise<number> => {
    hasRun = true
    return tx.run(write(1))
  }

  const refused = database.db.transaction(work, { isolation: 'no such level' as 'read committed' })

  await expect(refused).rejects.toThrow('syntax error')
  expect(hasRun).toBe(false)
  expect(await written()).toEqual([])
})
