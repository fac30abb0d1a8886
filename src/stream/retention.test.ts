import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import { capturedRows } from './captured-rows.ts'
import { retainRowChanges } from './retention.ts'
import { insertCursor, placeRowChanges } from './row-change-queries.ts'

const DAY_MS = 86_400_000

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase({ settings: capturedRows({ redisUrl: 'redis://127.0.0.1' }) })
  await database.db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (gen_random_uuid(), 'ann', 'x')`)
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.db.run(sql`TRUNCATE row_changes, row_change_positions`)
})

async function addTags(count: number): Promise<number> {
  await database.db.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    SELECT gen_random_uuid(), n, n, gen_random_uuid()::text, n, now(), now()
    FROM (SELECT generate_series(1, ${count}::integer)::text AS n) numbers`)
  return placeRowChanges(database.db)
}

async function addBag(): Promise<number> {
  await database.db.run(sql`
    INSERT INTO bags (id, owner_id, state, created, updated) SELECT gen_random_uuid(), id, 'CHECKED_OUT', now(), now() FROM users`)
  return placeRowChanges(database.db)
}

interface Retaining {
  upTo: number
  maxLength?: number
  daysLater?: number
  redisUrl?: string | undefined
}

async function retain({ upTo, maxLength = 100, daysLater = 0, ...rest }: Retaining): Promise<void> {
  const redisUrl = 'redisUrl' in rest ? rest.redisUrl : 'redis://127.0.0.1'
  const config = { redisUrl, changeStream: { prefix: 'souk', maxLength }, changeRetention: { days: 30, bytes: 1 } }
  const clock = { now: () => new Date(Date.now() + daysLater * DAY_MS) }
  await retainRowChanges({ db: database.db, config, clock }, upTo)
}

async function kept(): Promise<Record<string, number>> {
  const rows = await database.db.rows<{ table_name: string; places: number; changes: number }>(sql`
    SELECT table_name, count(*) AS places, count(r.seq) AS changes
    FROM row_change_positions p FULL JOIN row_changes r USING (seq, table_name) GROUP BY table_name`)
  for (const row of rows) expect(row.places).toBe(row.changes)
  return Object.fromEntries(rows.map((row) => [row.table_name, row.changes]))
}

it('keeps the newest row changes of each table, as many as its stream does', async () => {
  await addBag()
  const head = await addTags(12_345)

  await retain({ upTo: head })

  expect(await kept()).toEqual({ bags: 1, tags: 100 })
  const oldest = await database.db.row(
    sql`SELECT min(position) AS position FROM row_change_positions WHERE table_name = 'tags'`,
  )
  expect(oldest).toEqual({ position: head - 99 })
})

it('keeps whatever is not published yet', async () => {
  const published = await addTags(150)
  await addTags(500)

  await retain({ upTo: published })

  expect(await kept()).toEqual({ tags: 600 })
})

it('drops what is older than the change log', async () => {
  const head = await addTags(10)

  await retain({ upTo: head, daysLater: 29 })
  expect(await kept()).toEqual({ tags: 10 })
  await retain({ upTo: head, daysLater: 31 })
  expect(await kept()).toEqual({})
})

it('drops what was left over, once it is old, when the stream has been switched off', async () => {
  const head = await addTags(150)

  await retain({ upTo: head, redisUrl: undefined, daysLater: 29 })
  expect(await kept()).toEqual({ tags: 150 })
  await retain({ upTo: head, redisUrl: undefined, daysLater: 31 })
  expect(await kept()).toEqual({})
})

it('does nothing when run again, and keeps the last pass and cursor', async () => {
  const head = await addTags(10)
  await insertCursor(database.db, head)

  await retain({ upTo: head })
  await retain({ upTo: head })

  expect(await kept()).toEqual({ tags: 10 })
  const rows = await database.db.row(sql`
    SELECT (SELECT count(*) FROM row_change_passes) AS passes, (SELECT position FROM row_change_cursors) AS cursor`)
  expect(rows).toEqual({ passes: 1, cursor: head })
  expect(await placeRowChanges(database.db)).toBe(head)
})
