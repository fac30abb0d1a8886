import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'

import { note, startChangeLog, until, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import { ABANDONED_AFTER_DAYS, retainChanges } from './retention.ts'
import { trimOutbox } from './retention-queries.ts'

/** The smallest partitions there are. */
const SPAN = 2_000
const DAY_MS = 86_400_000

let database: TestDatabase
let log: TestLog

beforeEach(async () => {
  database = await createTestDatabase()
  log = await startChangeLog(database.db, { CHANGE_RETENTION_BYTES: '1048576' })
})

afterEach(async () => {
  await log.stop()
  await database.drop()
})

async function fill(count: number): Promise<void> {
  await database.db.run(sql`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
    SELECT gen_random_uuid(), 'test.note.written', 'note', n::text, n::text, '{public}', '{"text": ""}'
    FROM generate_series(1, ${count}::integer) n`)
  await log.drain()
}

/** One announces, the next drops. */
async function retain(options: { days?: number; bytes?: number; daysLater?: number } = {}): Promise<void> {
  const { days = 30, bytes = 1024 ** 4, daysLater = 0 } = options
  const clock = { now: () => new Date(Date.now() + daysLater * DAY_MS) }
  const config = { changeRetention: { days, bytes } }
  const run = async (): Promise<boolean> =>
    retainChanges({ db: database.db, config, clock, log: pino({ level: 'silent' }) })
  // The log's own run, soon after its start, may be in the way.
  await until('it is announced', run)
  await until('it is dropped', run)
}

async function kept(): Promise<{ first: number | null; count: number; oldest: number }> {
  const row = await database.db.row<{ first: number | null; count: number }>(
    sql`SELECT min(position) AS first, count(*) AS count FROM changes`,
  )
  return { ...row!, oldest: (await log.changeLog.head()).oldest }
}

it('keeps everything while there is room and time', async () => {
  await fill(3 * SPAN)

  await retain()

  expect(await kept()).toEqual({ first: 1, count: 3 * SPAN, oldest: 1 })
})

it('drops whole partitions from the front when there is too much, never the last one', async () => {
  await fill(3 * SPAN + 5)

  await retain({ bytes: 1 })

  expect(await kept()).toEqual({ first: 3 * SPAN + 1, count: 5, oldest: 3 * SPAN + 1 })
})

it('announces the new first position before it drops anything', async () => {
  await fill(2 * SPAN)
  const config = { changeRetention: { days: 30, bytes: 1 } }
  const clock = { now: () => new Date() }

  await until('it is announced', () =>
    retainChanges({ db: database.db, config, clock, log: pino({ level: 'silent' }) }),
  )

  expect(await kept()).toMatchObject({ first: 1, oldest: SPAN + 1 })
})

it('lets go of what is older than the days kept, also within a partition', async () => {
  await fill(10)

  await retain({ daysLater: 31 })

  expect(await kept()).toEqual({ first: null, count: 0, oldest: 11 })
  expect((await log.changeLog.head()).position).toBe(10)
})

it('finds the boundary of the days among many positions', async () => {
  await fill(SPAN + 500)
  await database.db.run(sql`UPDATE changes SET recorded_at = now() - interval '40 days' WHERE position <= 1234`)

  await retain()

  expect(await kept()).toEqual({ first: 1_235, count: SPAN + 500 - 1_234, oldest: 1_235 })
})

it('never passes a subscriber that is behind, unless no code for it has run for days', async () => {
  await log.changeLog.register([{ name: 'behind', topics: ['*'], mode: 'batch', handle: async () => undefined }])
  await fill(2 * SPAN)

  await retain({ bytes: 1, daysLater: ABANDONED_AFTER_DAYS - 1 })
  const held = await kept()
  await retain({ bytes: 1, daysLater: ABANDONED_AFTER_DAYS + 1 })

  expect(held).toMatchObject({ first: 1, oldest: 1 })
  expect(await kept()).toMatchObject({ first: SPAN + 1, oldest: SPAN + 1 })
})

it('drops later when a long reader is in the way, and does not hold up anybody meanwhile', async () => {
  await fill(2 * SPAN)
  const reader = await database.db.connect('souk long reader')
  await reader.query('BEGIN')
  await reader.query('SELECT count(*) FROM changes')

  await retain({ bytes: 1 })
  const started = performance.now()
  await note(database.db, 'meanwhile')
  await log.drain()
  const waited = performance.now() - started
  await reader.query('COMMIT')
  await reader.end()
  await retain({ bytes: 1 })

  expect(waited).toBeLessThan(1_000)
  expect(await kept()).toMatchObject({ first: 2 * SPAN + 1 })
})

it('keeps no trace of passes and cursors but the newest', async () => {
  await log.run({ name: 'reader', topics: ['*'], mode: 'each', handle: async () => undefined })
  for (let n = 0; n < 20; n++) await note(database.db, `${n}`)
  await log.drain()

  await retain()

  const row = await database.db.row(sql`
    SELECT (SELECT count(*) FROM change_batches) AS passes, (SELECT count(*) FROM subscriber_progress) AS cursors`)
  expect(row).toEqual({ passes: 1, cursors: 1 })
})

async function outboxRows(): Promise<number> {
  const row = await database.db.row<{ count: number }>(sql`SELECT count(*) AS count FROM outbox`)
  return row!.count
}

/** As if a block of numbers had been used up. */
async function skipBlock(): Promise<void> {
  await database.db.run(sql`SELECT setval('outbox_seq', outbox_last_seq() + 16384)`)
}

it('empties slots of the outbox that are two blocks old and all in the log', async () => {
  await fill(10)
  expect(await trimOutbox(database.db)).toBe(0)
  await skipBlock()
  expect(await trimOutbox(database.db)).toBe(0)
  await skipBlock()

  expect(await trimOutbox(database.db)).toBe(1)

  expect(await outboxRows()).toBe(0)
})

it('leaves a slot of the outbox while a transaction that wrote there is open, and loses nothing of it', async () => {
  const writer = await database.db.connect('souk slow writer')
  await writer.query('BEGIN')
  await writer.query(`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
    VALUES (gen_random_uuid(), 'test.note.written', 'note', 'slow', 'slow', '{public}', '{"text": ""}')`)
  await fill(10)
  await skipBlock()
  await skipBlock()

  expect(await trimOutbox(database.db)).toBe(0)
  await writer.query('COMMIT')
  await writer.end()
  await log.drain()

  expect((await log.changeLog.head()).position).toBe(11)
  await until('the slot is free', async () => (await trimOutbox(database.db)) === 1)
  expect(await outboxRows()).toBe(0)
})
