import { afterAll, beforeAll, expect, it } from 'vitest'
import { pino } from 'pino'

import { note, startChangeLog, until, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { createDb, type Db } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'

let database: TestDatabase
let other: Db
let log: TestLog
let otherLog: TestLog

beforeAll(async () => {
  database = await createTestDatabase()
  other = createDb({ url: database.url, poolSize: 4, applicationName: 'souk other', log: pino({ level: 'silent' }) })
  log = await startChangeLog(database.db)
  otherLog = await startChangeLog(other)
})

afterAll(async () => {
  await log.stop()
  await otherLog.stop()
  await other.close()
  await database.drop()
})

/** Milliseconds until the listener of a log hears that it has grown. */
async function heardAfter(listening: TestLog, act: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  const heard = new Promise<void>((resolve) => {
    const stop = listening.changeLog.onAdvance(() => {
      stop()
      resolve()
    })
  })
  await act()
  await heard
  return performance.now() - started
}

it('wakes its own listeners long before the next poll', async () => {
  const times: number[] = []
  for (let round = 0; round < 9; round++) times.push(await heardAfter(log, () => note(database.db, 'own')))

  expect(times.toSorted((a, b) => a - b)[4]).toBeLessThan(100)
})

it('wakes the listeners of other processes long before their poll', async () => {
  const times: number[] = []
  for (let round = 0; round < 9; round++) times.push(await heardAfter(otherLog, () => note(database.db, 'theirs')))

  expect(times.toSorted((a, b) => a - b)[4]).toBeLessThan(100)
})

it('finds what a process without a change log has recorded', async () => {
  const bare = createDb({
    url: database.url,
    poolSize: 1,
    applicationName: 'souk bare',
    log: pino({ level: 'silent' }),
  })
  const before = await log.changeLog.head()

  await note(bare, 'bare')
  await bare.close()

  await until('the change has its position', async () => (await log.changeLog.head()).position > before.position)
  expect((await log.changeLog.head()).position).toBe(before.position + 1)
})

it('gives two processes one order without gaps, and drains', async () => {
  const before = (await log.changeLog.head()).position

  await Promise.all(Array.from({ length: 200 }, (_, n) => note(n % 2 === 0 ? database.db : other, `${n}`)))
  await Promise.all([log.drain(), otherLog.drain()])

  const changes = await log.changeLog.read(other, { after: before, audience: 'all', limit: 1_000 })
  expect(changes.map((change) => change.position)).toEqual(changes.map((_change, index) => before + 1 + index))
  expect(new Set(changes.map((change) => change.id)).size).toBe(200)
})

it('goes on after its connections were cut off', async () => {
  const cut = sql`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'souk changes'`

  await other.run(cut)
  const before = (await otherLog.changeLog.head()).position
  await note(database.db, 'after the cut')

  await until('both are awake again', async () => (await otherLog.changeLog.head()).position > before)
  await otherLog.drain()
  expect(await heardAfter(otherLog, () => note(database.db, 'again'))).toBeLessThan(1_000)
})

it('keeps its epoch over restarts, and takes a new one when the database was restored elsewhere', async () => {
  const before = await log.changeLog.head()
  const restarted = await startChangeLog(other)
  const after = await restarted.changeLog.head()
  await restarted.stop()

  await database.db.run(sql`UPDATE change_log SET identity = 'another cluster'`)
  await until('the epoch is new', async () => (await log.changeLog.head()).epoch !== before.epoch)

  expect(after.epoch).toBe(before.epoch)
  expect((await log.changeLog.head()).position).toBe(before.position)
  await note(database.db, 'life goes on')
  await log.drain()
  expect((await log.changeLog.head()).position).toBe(before.position + 1)
})

it('takes a new epoch after a failover, which changes the timeline', async () => {
  const before = await log.changeLog.head()

  await database.db.run(sql`UPDATE change_log SET instance = '0000000F'`)

  await until('the epoch is new', async () => (await log.changeLog.head()).epoch !== before.epoch)
  expect((await log.changeLog.head()).position).toBe(before.position)
})

it('takes up what a dump of another cluster had not sequenced yet, and what was recorded before its first start', async () => {
  const restored = await createTestDatabase()
  const client = await restored.db.connect('souk restored')
  for (const text of ['a', 'b', 'c', 'd']) await note(restored.db, text)
  await client.query('SELECT sequence_changes(3, 1000000)')
  await client.query('SELECT sequence_changes(3, 1000000)')
  await note(restored.db, 'e')
  // In the other cluster the transaction ids were far higher than they are here.
  await client.query(`UPDATE outbox SET xid = (xid::text::bigint * 1000)::text::xid8`)
  await client.query(`
    UPDATE change_batches SET taken_xid = (taken_xid::text::bigint * 1000)::text::xid8,
      target_xid = (target_xid::text::bigint * 1000)::text::xid8,
      taken = regexp_replace(taken::text, '([0-9]{2,})', '\\1000', 'g')::pg_snapshot,
      target = regexp_replace(target::text, '([0-9]{2,})', '\\1000', 'g')::pg_snapshot`)
  await client.query(`UPDATE change_log SET identity = 'the other cluster'`)
  await client.end()
  await note(restored.db, 'f')

  const running = await startChangeLog(restored.db)
  await running.drain()
  const changes = await running.changeLog.read(restored.db, { after: 0, audience: 'all', limit: 100 })
  await running.stop()
  await restored.drop()

  expect(changes.map((change) => (change.data as { text: string }).text)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

it('tells what is not sequenced yet', async () => {
  const quiet = await createTestDatabase()
  const sleeping = await startChangeLog(quiet.db)
  await sleeping.stop()

  await note(quiet.db, 'one')
  const status = await sleeping.changeLog.status()
  await quiet.drop()

  expect(status.unsequenced).toBe(1)
})

it('does not look through old rows of the outbox in a pass', async () => {
  await database.db.run(sql`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
    SELECT gen_random_uuid(), 'test.note.written', 'note', n::text, n::text, '{public}', '{"text": ""}' FROM generate_series(1, 20000) n`)
  await log.drain()
  await log.stop()
  await otherLog.stop()
  const client = await database.db.connect('souk pass')
  await client.query(`
    INSERT INTO outbox (id, topic, subject_type, subject_id, key, audience, data)
    SELECT gen_random_uuid(), 'test.note.written', 'note', n::text, n::text, '{public}', '{"text": ""}' FROM generate_series(1, 10) n`)

  await client.query('BEGIN')
  const pass = await client.query<{ taken: number }>('SELECT taken FROM sequence_changes(1000, 1000000)')
  const looked = await client.query<{ rows: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch)::bigint AS rows FROM pg_stat_xact_user_tables WHERE relname ~ '^outbox_'`,
  )
  await client.query('COMMIT')
  await client.end()

  expect(pass.rows[0]!.taken).toBe(10)
  expect(looked.rows[0]!.rows).toBeLessThan(60)
})
