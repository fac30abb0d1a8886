import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import {
  accountOf,
  emptyDelivery,
  forwardClock,
  queue,
  startWorker,
  testKind,
  until,
  untilDone,
} from '../../test/support/delivery.ts'
import { sql } from '../platform/db/sql.ts'
import { configureDestination, listFailed, replayFailed, type Delivery } from './index.ts'
import { releaseStrays } from './retention.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await emptyDelivery(database.db)
  await setOrdering('strict')
})

const minute = 60_000
const target = { kind: 'test', destination: 'one' }

function setOrdering(ordering: 'none' | 'strict'): Promise<void> {
  return database.db.transaction((tx) => configureDestination(tx, target, { ordering }))
}

function numbered(orderKey: string, count: number) {
  return Array.from({ length: count }, (_, n) => ({ key: `${orderKey}-${n}`, orderKey, payload: { n } }))
}

function numberOf(delivery: Delivery): number {
  return (delivery.payload as { n: number }).n
}

test('each key goes out in the order queued and one at a time, whatever fails in between and however many workers there are', async () => {
  const { db } = database
  const sent = new Map<string, number[]>()
  const running = new Set<string>()
  const overlaps: string[] = []
  const kindOf = () =>
    testKind({
      slots: 20,
      retryDelayMs: () => 5,
      deliver: async (delivery, attempt) => {
        const key = delivery.orderKey!
        if (running.has(key)) overlaps.push(key)
        running.add(key)
        await sleep(1)
        running.delete(key)
        if (numberOf(delivery) % 4 === 1 && attempt === 1) return { result: 'retry', error: 'once' }
        sent.set(key, [...(sent.get(key) ?? []), numberOf(delivery)])
        return { result: 'succeeded' }
      },
    })
  const keys = Array.from({ length: 10 }, (_, n) => `order-${n}`)

  const workers = await Promise.all([startWorker(db, kindOf()), startWorker(db, kindOf())])
  await Promise.all(keys.map((key) => queue(db, numbered(key, 20))))
  const account = await untilDone(db, 30_000)
  await until('nothing is held', async () => (await accountOf(db)).succeeded === 200, 30_000)
  await Promise.all(workers.map((worker) => worker.stop()))

  const inOrder = Array.from({ length: 20 }, (_, n) => n)
  expect(account.committed).toBe(200)
  expect(overlaps).toEqual([])
  expect([...sent.values()]).toEqual(keys.map(() => inOrder))
})

test('a failing delivery holds only the later ones of its key', async () => {
  const { db } = database
  const clock = forwardClock()
  let isBroken = true
  const sent: string[] = []
  const kind = testKind({
    retryDelayMs: () => 10 * minute,
    deliver: async (delivery) => {
      if (delivery.orderKey === 'bad' && isBroken) return { result: 'retry', error: '500' }
      sent.push(`${delivery.orderKey}-${numberOf(delivery)}`)
      return { result: 'succeeded' }
    },
  })
  const worker = await startWorker(db, kind, { clock })

  await queue(db, [...numbered('bad', 50), ...numbered('good', 50)])
  await until('the good key is through', async () => (await accountOf(db)).succeeded === 50)
  await until('the bad key is held', async () => (await accountOf(db)).parked === 49)
  const whileBroken = await accountOf(db)
  isBroken = false
  clock.advance(11 * minute)
  await until('the bad key is through', async () => (await accountOf(db)).succeeded === 100)
  await worker.stop()

  const bad = sent.filter((name) => name.startsWith('bad'))
  expect(whileBroken).toMatchObject({ committed: 100, pending: 1, parked: 49, succeeded: 50 })
  expect(bad).toEqual(Array.from({ length: 50 }, (_, n) => `bad-${n}`))
})

test('a delivery that is given up lets the next one go; its replay comes when it is asked for', async () => {
  const { db } = database
  const sent: number[] = []
  let isBroken = true
  const kind = testKind({
    deliver: async (delivery) => {
      if (numberOf(delivery) === 1 && isBroken) return { result: 'failed', error: '400' }
      sent.push(numberOf(delivery))
      return { result: 'succeeded' }
    },
  })
  const worker = await startWorker(db, kind)

  await queue(db, numbered('key', 4))
  await until('the others are through', async () => (await accountOf(db)).succeeded === 3)
  isBroken = false
  const [failed] = await listFailed(db, { limit: 1 })
  await db.transaction((tx) => replayFailed(tx, [failed!.id]))
  await until('the replay is through', async () => (await accountOf(db)).succeeded === 4)
  await worker.stop()

  expect(sent).toEqual([0, 2, 3, 1])
})

test('switching the order off lets everything held go', async () => {
  const { db } = database
  const kind = testKind({
    retryDelayMs: () => 10 * minute,
    deliver: async (delivery) =>
      numberOf(delivery) === 0 ? { result: 'retry', error: '500' } : { result: 'succeeded' },
  })
  const worker = await startWorker(db, kind)
  await queue(db, numbered('key', 10))
  await until('the later ones are held', async () => (await accountOf(db)).parked === 9)

  await setOrdering('none')
  await until('they are through', async () => (await accountOf(db)).succeeded === 9)
  await worker.stop()

  expect(await accountOf(db)).toMatchObject({ committed: 10, pending: 1, parked: 0 })
})

test('a held delivery that nothing is in front of is found by the sweep', async () => {
  const { db } = database
  await queue(db, numbered('key', 3))
  await db.run(sql`UPDATE deliveries SET state = 'held'`)

  await releaseStrays(db)
  await releaseStrays(db)

  const states = await db.rows<{ state: string }>(sql`SELECT state FROM deliveries ORDER BY seq`)
  expect(states.map((row) => row.state)).toEqual(['ready', 'held', 'held'])
})
