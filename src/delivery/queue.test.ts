import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { accountOf, emptyDelivery, queue, startWorker, testKind, untilDone } from '../../test/support/delivery.ts'
import { sql } from '../platform/db/sql.ts'
import { listFailed, queueDeliveries, queueMail, queueMails, replayFailed } from './index.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(() => emptyDelivery(database.db))

describe('queueing', () => {
  test('commits or rolls back with the transaction of its reason', async () => {
    const { db } = database

    const failing = db.transaction(async (tx) => {
      await queueMail(tx, { key: 'a', template: 'welcome', to: 'a@example.org', values: {} })
      throw new Error('the reason went away')
    })

    await expect(failing).rejects.toThrow('the reason went away')
    expect(await accountOf(db)).toMatchObject({ committed: 0, pending: 0 })
  })

  test('queues a key once: within a call, in a later call, and after the delivery has left the queue', async () => {
    const { db } = database
    const twice = [{ key: 'same' }, { key: 'same' }, { key: 'other' }]

    const first = await queue(db, twice)
    const second = await queue(db, twice)
    const worker = await startWorker(db, testKind())
    await untilDone(db)
    const third = await queue(db, twice)
    await worker.stop()

    expect([first, second, third]).toEqual([2, 0, 0])
    expect(await accountOf(db)).toMatchObject({ committed: 2, succeeded: 2, pending: 0 })
  })

  test('keeps the keys of two kinds apart', async () => {
    const { db } = database

    await queue(db, [{ key: 'same', kind: 'test' }])
    const other = await queue(db, [{ key: 'same', kind: 'second' }])

    expect(other).toBe(1)
  })

  test('queues a key once when many transactions bring the same keys at once, in any order', async () => {
    const { db } = database
    const items = Array.from({ length: 200 }, (_, n) => ({ key: `k${n}` }))

    const counts = await Promise.all(
      Array.from({ length: 8 }, (_, n) => queue(db, n % 2 === 0 ? items : items.toReversed())),
    )

    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(200)
    expect(await accountOf(db)).toMatchObject({ committed: 200, pending: 200 })
  })

  test('takes ten thousand mails in one call, in the order given', async () => {
    const { db } = database
    const mails = Array.from({ length: 10_000 }, (_, n) => ({
      key: `mail-${n}`,
      template: 'product-created',
      to: `admin-${n % 3}@example.org`,
      values: { n },
    }))

    await db.transaction((tx) => queueMails(tx, mails))

    const rows = await db.rows<{ n: number }>(
      sql`SELECT (payload -> 'values' ->> 'n')::int AS n FROM deliveries ORDER BY seq`,
    )
    expect(rows.map((row) => row.n)).toEqual(mails.map((mail) => mail.values.n))
    expect(await accountOf(db)).toMatchObject({ committed: 10_000, pending: 10_000 })
  })

  test('takes values that are hard to store: NUL, half a surrogate pair, quotes and braces', async () => {
    const { db } = database
    const values = { text: 'a\u0000b \ud800 "{,}\\ \u2028' }

    await db.transaction((tx) => queueMail(tx, { key: 'k', template: 't', to: 'a@example.org', values }))

    const row = await db.row<{ payload: { values: unknown } }>(sql`SELECT payload FROM deliveries`)
    expect(row?.payload.values).toEqual(values)
  })

  test('does nothing for an empty list', async () => {
    const queued = await database.db.transaction((tx) => queueDeliveries(tx, []))

    expect(queued).toBe(0)
  })
})

describe('the failed list', () => {
  test('keeps what was given up, page by page, and replays it with the same id', async () => {
    const { db } = database
    let isBroken = true
    const sent: string[] = []
    const kind = testKind({
      deliver: async (delivery) => {
        if (isBroken) return { result: 'failed', status: 550, error: 'no such user' }
        sent.push(delivery.id)
        return { result: 'succeeded' }
      },
    })
    await queue(db, [{ payload: { n: 1 } }, { payload: { n: 2 } }, { payload: { n: 3 } }])
    const worker = await startWorker(db, kind)
    await untilDone(db)

    const firstPage = await listFailed(db, { kind: 'test', limit: 2 })
    const last = firstPage[1]!
    const secondPage = await listFailed(db, { kind: 'test', destination: 'one', limit: 2, after: last })
    isBroken = false
    const ids = [...firstPage, ...secondPage].map((failed) => failed.id)
    const replayed = await db.transaction((tx) => replayFailed(tx, ids))
    const again = await db.transaction((tx) => replayFailed(tx, ids))
    await untilDone(db)
    await worker.stop()

    expect(firstPage[0]).toMatchObject({ destination: 'one', attempts: 1, error: 'no such user' })
    expect(new Set(ids).size).toBe(3)
    expect([replayed, again]).toEqual([3, 0])
    expect(sent.toSorted()).toEqual(ids.toSorted())
    expect(await accountOf(db)).toMatchObject({ committed: 3, succeeded: 3, failed: 0 })
  })
})
