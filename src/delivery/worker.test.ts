import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

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
import {
  configureDestination,
  disableDestination,
  enableDestination,
  listAttempts,
  listFailed,
  type Delivery,
  type Outcome,
} from './index.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(() => emptyDelivery(database.db))

const minute = 60_000

describe('attempts', () => {
  test('are made at once after the commit, without waiting for a poll', async () => {
    const { db } = database
    const waits: number[] = []
    let committedAt = 0
    const worker = await startWorker(
      db,
      testKind({
        deliver: async () => {
          waits.push(performance.now() - committedAt)
          return { result: 'succeeded' }
        },
      }),
    )

    for (let n = 0; n < 20; n++) {
      await queue(db, [{ key: `k${n}` }])
      committedAt = performance.now()
      await until('it is attempted', () => waits.length === n + 1)
    }
    await worker.stop()

    // A poll comes every 250 ms; the median leaves room for a busy machine.
    expect(waits.toSorted((a, b) => a - b)[10]).toBeLessThan(100)
  })

  test('are repeated with growing numbers until one succeeds, and each is logged', async () => {
    const { db } = database
    const seen: [number, number][] = []
    const kind = testKind({
      deliver: async (delivery, attempt): Promise<Outcome> => {
        seen.push([delivery.attempts, attempt])
        if (attempt < 3)
          return { result: 'retry', error: 'busy', status: 503, answer: 'come back', timings: { connectMs: 2 } }
        return { result: 'succeeded', status: 200, answer: 'x'.repeat(20_000) }
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    await untilDone(db)
    await worker.stop()

    const row = await db.row<{ id: string; attempts: number }>(sql`SELECT id, attempts FROM deliveries_succeeded`)
    const attempts = await listAttempts(db, row!.id)
    expect(seen).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ])
    expect(row!.attempts).toBe(3)
    expect(attempts.map(({ attempt, result, status }) => [attempt, result, status])).toEqual([
      [1, 'retry', 503],
      [2, 'retry', 503],
      [3, 'succeeded', 200],
    ])
    expect(attempts[0]).toMatchObject({ answer: 'come back', isCut: false, error: 'busy', timings: { connectMs: 2 } })
    expect(attempts[2]).toMatchObject({ isCut: true, error: null })
    expect(attempts[2]!.answer).toHaveLength(16_384)
  })

  test('end after the last one of the schedule: the delivery is in the failed list with the reason', async () => {
    const { db } = database
    const givenUp: string[] = []
    const kind = testKind({
      deliver: async () => ({ result: 'retry', error: 'still busy' }),
      onGivenUp: (_delivery, error) => givenUp.push(error),
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    const account = await untilDone(db)
    await worker.stop()

    expect(account).toMatchObject({ failed: 1 })
    expect(await listFailed(db, { limit: 10 })).toMatchObject([{ attempts: 5, error: 'still busy' }])
    expect(givenUp).toEqual(['still busy'])
  })

  test('wait for their time by the clock that is given', async () => {
    const { db } = database
    const clock = forwardClock()
    let attempts = 0
    const kind = testKind({
      deliver: async () => (++attempts === 1 ? { result: 'retry', error: 'busy' } : { result: 'succeeded' }),
      retryDelayMs: () => 60 * minute,
    })
    const worker = await startWorker(db, kind, { clock })
    await queue(db, [{}])
    await until('the first attempt is stored', async () => (await accountOf(db)).pending === 1 && attempts === 1)

    await sleep(600)
    const before = attempts
    clock.advance(61 * minute)
    await untilDone(db)
    await worker.stop()

    expect([before, attempts]).toEqual([1, 2])
  })

  test('wait at least as long as the other side asked for', async () => {
    const { db } = database
    const kind = testKind({ deliver: async () => ({ result: 'retry', error: 'busy', retryAfterMs: 90_000 }) })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    const waiting = sql`SELECT extract(epoch FROM due_at - now())::float8 AS seconds FROM deliveries WHERE attempts = 1`
    await until('the attempt is stored', async () => (await db.rows(waiting)).length === 1)
    const row = await db.row<{ seconds: number }>(waiting)
    await worker.stop()

    expect(row!.seconds).toBeGreaterThan(80)
    expect(row!.seconds).toBeLessThanOrEqual(90)
  })

  test('end when the age is reached that counts from the first attempt, not from queueing', async () => {
    const { db } = database
    const clock = forwardClock()
    let attempts = 0
    const kind = testKind({
      maxAgeMs: 180 * minute,
      deliver: async () => {
        attempts++
        return { result: 'retry', error: 'busy' }
      },
      retryDelayMs: () => 100 * minute,
    })
    await queue(db, [{}])
    clock.advance(1_000 * minute)
    const worker = await startWorker(db, kind, { clock })
    await until('the first attempt', async () => (await accountOf(db)).pending === 1 && attempts === 1)

    clock.advance(101 * minute)
    const account = await untilDone(db)
    await worker.stop()

    expect(attempts).toBe(2)
    expect(account).toMatchObject({ failed: 1 })
  })

  test('are not made for what has expired', async () => {
    const { db } = database
    let attempts = 0
    const kind = testKind({
      deliver: async () => {
        attempts++
        return { result: 'succeeded' }
      },
    })
    await queue(db, [{ expiresAt: new Date(Date.now() - 1_000) }])

    const worker = await startWorker(db, kind)
    await untilDone(db)
    await worker.stop()

    expect(attempts).toBe(0)
    expect(await listFailed(db, { limit: 1 })).toMatchObject([{ attempts: 0, error: 'not sent: its time has passed' }])
  })

  test('are ended by the time limit, also when the kind ignores its signal', async () => {
    const { db } = database
    const aborted: boolean[] = []
    const kind = testKind({
      attemptTimeoutMs: 100,
      deliver: async (_delivery, attempt, signal) => {
        if (attempt > 1) return { result: 'succeeded' }
        signal.addEventListener('abort', () => aborted.push(true))
        return new Promise(() => undefined)
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    const account = await untilDone(db)
    await worker.stop()

    const [first] = await db.rows<{ error: string }>(sql`SELECT error FROM delivery_attempts ORDER BY attempt`)
    expect(account).toMatchObject({ succeeded: 1 })
    expect(aborted).toEqual([true])
    expect(first!.error).toBe('timed out after 100 ms')
  })

  test('that throw, also with text that cannot be stored as it is, are tried again', async () => {
    const { db } = database
    const kind = testKind({
      deliver: async (_delivery, attempt) => {
        if (attempt === 1) throw new Error('broken\u0000 pipe')
        return { result: 'succeeded', answer: 'o\u0000k' }
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    const account = await untilDone(db)
    await worker.stop()

    const rows = await db.rows(sql`SELECT error, answer FROM delivery_attempts ORDER BY attempt`)
    expect(account).toMatchObject({ succeeded: 1 })
    expect(rows).toEqual([
      { error: 'broken pipe', answer: null },
      { error: null, answer: 'ok' },
    ])
  })

  test('go on when the attempt log cannot be written', async () => {
    const { db } = database
    await db.run(sql`ALTER TABLE delivery_attempts RENAME TO delivery_attempts_away`)
    let attempts = 0
    const kind = testKind({
      deliver: async () => {
        attempts++
        return { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{ key: 'a' }, { key: 'b' }])
    const account = await untilDone(db)
    await worker.stop()
    await db.run(sql`ALTER TABLE delivery_attempts_away RENAME TO delivery_attempts`)

    expect(account).toMatchObject({ succeeded: 2 })
    expect(attempts).toBe(2)
  })
})

describe('rendering', () => {
  test('happens once, is stored before the first attempt, and every attempt gets the same', async () => {
    const { db } = database
    let renderings = 0
    const contents: unknown[] = []
    const stored: unknown[] = []
    const kind = testKind({
      render: async () => ({ number: ++renderings }),
      deliver: async (delivery, attempt) => {
        contents.push(delivery.content)
        stored.push((await db.row<{ content: unknown }>(sql`SELECT content FROM deliveries`))?.content)
        return attempt < 3 ? { result: 'retry', error: 'busy' } : { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    await untilDone(db)
    await worker.stop()

    expect(contents).toEqual([{ number: 1 }, { number: 1 }, { number: 1 }])
    expect(stored).toEqual(contents)
  })

  test('that fails is tried again and then given up with its reason', async () => {
    const { db } = database
    const kind = testKind({
      render: async () => {
        throw new Error('no template')
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{}])
    const account = await untilDone(db)
    await worker.stop()

    expect(account).toMatchObject({ failed: 1 })
    expect(await listFailed(db, { limit: 1 })).toMatchObject([
      { attempts: 5, error: 'could not be rendered: no template' },
    ])
  })
})

describe('destinations', () => {
  test('that hang cost only their own slots', async () => {
    const { db } = database
    const hanging = new Set<string>()
    const kind = testKind({
      slots: 3,
      attemptTimeoutMs: 60_000,
      deliver: async (delivery, _attempt, signal) => {
        if (!delivery.destination.startsWith('hang')) return { result: 'succeeded' }
        hanging.add(delivery.id)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return { result: 'retry', error: 'aborted' }
      },
    })
    const stuck = Array.from({ length: 1_000 }, (_, n) => ({ key: `h${n}`, destination: `hang-${n % 10}` }))
    const healthy = Array.from({ length: 500 }, (_, n) => ({ key: `g${n}`, destination: `good-${n % 5}` }))
    const worker = await startWorker(db, kind)

    await queue(db, stuck)
    await until('every slot of the hanging ones is taken', () => hanging.size === 30)
    const began = performance.now()
    await queue(db, healthy)
    await until('the healthy ones are done', async () => (await accountOf(db)).succeeded === 500)
    const took = performance.now() - began
    await worker.stop()

    expect(took).toBeLessThan(5_000)
    expect(hanging.size).toBe(30)
    expect(await accountOf(db)).toMatchObject({ committed: 1_500, leased: 0, pending: 1_000, succeeded: 500 })
  })

  test('that hang in their hundreds, more than one process can hold, do not keep a healthy one waiting', async () => {
    const { db } = database
    const hanging = new Set<string>()
    const kind = testKind({
      slots: 5,
      attemptTimeoutMs: 60_000,
      deliver: async (delivery) => {
        if (delivery.destination === 'good') return { result: 'succeeded' }
        hanging.add(delivery.id)
        return new Promise(() => undefined)
      },
    })
    const worker = await startWorker(db, kind)
    await queue(
      db,
      Array.from({ length: 4_000 }, (_, n) => ({ key: `h${n}`, destination: `hang-${n % 400}` })),
    )
    await until('the process holds all it can', () => hanging.size >= 500)

    const began = performance.now()
    await queue(
      db,
      Array.from({ length: 20 }, (_, n) => ({ key: `g${n}`, destination: 'good' })),
    )
    await until('the healthy one is served', async () => (await accountOf(db)).succeeded === 20)
    const took = performance.now() - began
    const account = await accountOf(db)
    await worker.stop()

    expect(took).toBeLessThan(3_000)
    expect(account.leased).toBeLessThan(1_500)
  })

  test('with a hundred thousand waiting do not starve one with a single delivery', async () => {
    const { db } = database
    await db.run(sql`
      INSERT INTO deliveries (id, kind, destination, payload, due_at)
      SELECT gen_random_uuid(), 'test', 'huge', '{}', now() - interval '1 hour' FROM generate_series(1, 100000)`)
    await db.run(sql`INSERT INTO delivery_counts (kind, destination, committed) VALUES ('test', 'huge', 100000)`)
    const arrived = new Map<string, number>()
    const kind = testKind({
      deliver: async (delivery) => {
        arrived.set(delivery.destination, (arrived.get(delivery.destination) ?? 0) + 1)
        await sleep(5)
        return { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind)
    await until('the huge one is under way', () => (arrived.get('huge') ?? 0) > 100)

    const began = performance.now()
    await queue(db, [{ destination: 'small' }])
    await until('the small one is served', () => arrived.has('small'))
    const waited = performance.now() - began
    await worker.stop()

    expect(waited).toBeLessThan(1_000)
    expect(arrived.get('huge')).toBeLessThan(100_000)
    expect(await accountOf(db)).toMatchObject({ committed: 100_001, leased: 0 })
  })

  test('that are paused get nothing until the pause is over; others go on', async () => {
    const { db } = database
    const clock = forwardClock()
    const sent: string[] = []
    let isDown = true
    const kind = testKind({
      slots: 1,
      deliver: async (delivery): Promise<Outcome> => {
        sent.push(delivery.destination)
        if (delivery.destination === 'down' && isDown) return { result: 'retry', error: '503', pauseMs: minute }
        return { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind, { clock })

    await queue(
      db,
      Array.from({ length: 20 }, (_, n) => ({ key: `d${n}`, destination: 'down' })),
    )
    await until('the pause is stored', async () => (await db.rows(sql`SELECT FROM delivery_destinations`)).length === 1)
    await queue(db, [{ key: 'up', destination: 'up' }])
    await until('the other one is sent', () => sent.includes('up'))
    await sleep(400)
    const duringPause = sent.filter((destination) => destination === 'down').length
    isDown = false
    clock.advance(2 * minute)
    const account = await untilDone(db)
    await worker.stop()

    expect(duringPause).toBe(1)
    expect(account).toMatchObject({ succeeded: 21 })
  })

  test('that are disabled keep everything parked until they are enabled', async () => {
    const { db } = database
    const sent: string[] = []
    const kind = testKind({
      deliver: async (delivery) => {
        sent.push(delivery.id)
        return { result: 'succeeded' }
      },
    })
    const target = { kind: 'test', destination: 'one' }
    const worker = await startWorker(db, kind)

    await db.transaction((tx) => disableDestination(tx, target, 'switched off by its owner'))
    await queue(db, [{ key: 'a' }, { key: 'b' }])
    await sleep(600)
    const whileDisabled = await accountOf(db)
    await db.transaction((tx) => enableDestination(tx, target))
    const account = await untilDone(db)
    await worker.stop()

    expect(whileDisabled).toMatchObject({ committed: 2, parked: 2, pending: 0, leased: 0 })
    expect(sent).toHaveLength(2)
    expect(account).toMatchObject({ succeeded: 2, parked: 0 })
  })

  test('are disabled by an outcome that says so, and keep what was claimed for them', async () => {
    const { db } = database
    let attempts = 0
    const kind = testKind({
      slots: 1,
      deliver: async () => {
        attempts++
        return { result: 'parked', error: 'gone (410)', status: 410 }
      },
    })
    const worker = await startWorker(db, kind)

    await queue(db, [{ key: 'a' }, { key: 'b' }, { key: 'c' }])
    await until('all are parked', async () => (await accountOf(db)).parked === 3)
    await worker.stop()

    const row = await db.row(sql`SELECT is_enabled, disabled_reason FROM delivery_destinations`)
    expect(attempts).toBe(1)
    expect(row).toEqual({ is_enabled: false, disabled_reason: 'gone (410)' })
  })

  test('may have slots of their own', async () => {
    const { db } = database
    let running = 0
    let most = 0
    const kind = testKind({
      slots: 10,
      deliver: async () => {
        most = Math.max(most, ++running)
        await sleep(5)
        running--
        return { result: 'succeeded' }
      },
    })
    await db.transaction((tx) => configureDestination(tx, { kind: 'test', destination: 'one' }, { slots: 2 }))
    await queue(
      db,
      Array.from({ length: 50 }, (_, n) => ({ key: `k${n}` })),
    )

    const worker = await startWorker(db, kind)
    await untilDone(db)
    await worker.stop()

    expect(most).toBe(2)
  })
})

describe('workers', () => {
  test('share one database without sending anything twice', async () => {
    const { db } = database
    const sent: string[] = []
    const kindOf = () =>
      testKind({
        deliver: async (delivery: Delivery) => {
          sent.push(delivery.id)
          return { result: 'succeeded' }
        },
      })
    const items = Array.from({ length: 5_000 }, (_, n) => ({ key: `k${n}`, destination: `d${n % 7}` }))

    const workers = await Promise.all([startWorker(db, kindOf()), startWorker(db, kindOf()), startWorker(db, kindOf())])
    await Promise.all([0, 1, 2, 3, 4].map((part) => queue(db, items.slice(part * 1_000, part * 1_000 + 1_000))))
    const account = await untilDone(db)
    await Promise.all(workers.map((worker) => worker.stop()))

    expect(account).toMatchObject({ committed: 5_000, succeeded: 5_000 })
    expect(sent).toHaveLength(5_000)
    expect(new Set(sent).size).toBe(5_000)
  })

  test('give back at once what they have not tried when they stop, within five seconds, and can be stopped twice', async () => {
    const { db } = database
    const kind = testKind({ slots: 2, deliver: async () => new Promise(() => undefined) })
    const worker = await startWorker(db, kind)
    await queue(
      db,
      Array.from({ length: 10 }, (_, n) => ({ key: `k${n}` })),
    )
    await until('work is claimed', async () => (await accountOf(db)).leased === 4)

    const began = performance.now()
    await Promise.all([worker.stop(), worker.stop()])
    await worker.stop()

    expect(performance.now() - began).toBeLessThan(5_000)
    expect(await accountOf(db)).toMatchObject({ pending: 10, leased: 0 })
    expect(await db.rows(sql`SELECT FROM delivery_workers`)).toHaveLength(0)
  })

  test('store the result of an attempt that ends while they stop', async () => {
    const { db } = database
    const kind = testKind({
      deliver: async () => {
        await sleep(300)
        return { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind)
    await queue(db, [{}])
    await until('work is claimed', async () => (await accountOf(db)).leased === 1)

    await worker.stop()

    expect(await accountOf(db)).toMatchObject({ succeeded: 1 })
  })

  test('recover from lost connections: nothing is lost, nothing stays leased', async () => {
    const { db } = database
    const sent: string[] = []
    const kind = testKind({
      deliver: async (delivery) => {
        sent.push(delivery.id)
        await sleep(2)
        return { result: 'succeeded' }
      },
    })
    const worker = await startWorker(db, kind)
    await queue(
      db,
      Array.from({ length: 2_000 }, (_, n) => ({ key: `k${n}` })),
    )

    for (let n = 0; n < 5; n++) {
      await sleep(60)
      await db.run(sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'souk delivery%'`)
    }
    const account = await untilDone(db)
    await worker.stop()

    expect(account).toMatchObject({ committed: 2_000, succeeded: 2_000 })
    expect(new Set(sent).size).toBe(2_000)
  })
})
