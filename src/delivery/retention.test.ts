import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { accountOf, emptyDelivery, queue, startWorker, testKind, untilDone } from '../../test/support/delivery.ts'
import { sql } from '../platform/db/sql.ts'
import { foldCounts, keepPartitions, pruneFinished } from './retention.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(() => emptyDelivery(database.db))

const day = 86_400_000

test('days are made ahead, filled, and dropped when they are over; running twice and at once changes nothing', async () => {
  const { db } = database
  await keepPartitions(db, new Date())
  const worker = await startWorker(db, testKind())
  await queue(db, [{ key: 'a' }, { key: 'b' }])
  await untilDone(db)
  await worker.stop()

  const stored = await db.row(sql`
    SELECT (SELECT count(*) FROM deliveries_succeeded) AS finished, (SELECT count(*) FROM deliveries_succeeded_default) AS stray,
           (SELECT count(*) FROM delivery_attempts) AS attempts`)
  const later = new Date(Date.now() + 40 * day)
  await Promise.all([keepPartitions(db, later), keepPartitions(db, later)])
  await keepPartitions(db, later)
  const left = await db.row(sql`
    SELECT (SELECT count(*) FROM deliveries_succeeded) AS finished, (SELECT count(*) FROM delivery_attempts) AS attempts`)

  expect(stored).toEqual({ finished: 2, stray: 0, attempts: 2 })
  expect(left).toEqual({ finished: 0, attempts: 0 })
  expect(await accountOf(db)).toMatchObject({ committed: 2, succeeded: 2 })
})

test('a day that began without its partition stays in the default one until it is old', async () => {
  const { db } = database
  const began = new Date('2030-05-05T08:00:00Z')
  await db.run(sql`
    INSERT INTO deliveries_succeeded (id, seq, kind, destination, queued_at, finished_at, attempts)
    VALUES (gen_random_uuid(), 1, 'test', 'one', ${began}, ${began}, 1)`)

  await keepPartitions(db, began)
  await pruneFinished(db, new Date(began.getTime() + 29 * day))
  const kept = await db.rows(sql`SELECT FROM deliveries_succeeded_default`)
  await pruneFinished(db, new Date(began.getTime() + 31 * day))
  const left = await db.rows(sql`SELECT FROM deliveries_succeeded_default`)

  expect([kept.length, left.length]).toEqual([1, 0])
})

test('failed ones are kept longer, and then removed', async () => {
  const { db } = database
  const worker = await startWorker(db, testKind({ deliver: async () => ({ result: 'failed', error: '400' }) }))
  await queue(db, [{}])
  await untilDone(db)
  await worker.stop()

  await pruneFinished(db, new Date(Date.now() + 60 * day))
  const kept = await db.rows(sql`SELECT FROM deliveries_failed`)
  await pruneFinished(db, new Date(Date.now() + 91 * day))
  const left = await db.rows(sql`SELECT FROM deliveries_failed`)

  expect([kept.length, left.length]).toEqual([1, 0])
  expect(await accountOf(db)).toMatchObject({ committed: 1, failed: 1 })
})

test('totals are folded into one row per destination without changing a sum, while work goes on', async () => {
  const { db } = database
  const worker = await startWorker(db, testKind())
  const queueing = Array.from({ length: 50 }, async (_, n) =>
    queue(db, [{ key: `a${n}` }, { key: `b${n}`, destination: 'two' }]),
  )

  await Promise.all([...queueing, foldCounts(db), foldCounts(db), foldCounts(db)])
  await untilDone(db)
  await worker.stop()
  await foldCounts(db)

  const rows = await db.rows(
    sql`SELECT destination, committed, succeeded, failed FROM delivery_counts ORDER BY destination`,
  )
  expect(rows).toEqual([
    { destination: 'one', committed: 50, succeeded: 50, failed: 0 },
    { destination: 'two', committed: 50, succeeded: 50, failed: 0 },
  ])
})
