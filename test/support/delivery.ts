import { pino } from 'pino'

import { deliveryStats, queueDeliveries, type DeliveryKind, type NewDelivery } from '../../src/delivery/index.ts'
import { createWorker } from '../../src/delivery/worker.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { until } from './until.ts'

export { until }

export const silent = pino({ level: 'silent' })

/** The real time plus what was added; deliveries are queued at the database's time, so it only goes forward. */
export function forwardClock(): Clock & { advance(ms: number): void } {
  let offset = 0
  return {
    now: () => new Date(Date.now() + offset),
    advance: (ms) => {
      offset += ms
    },
  }
}

/** A way out of the building that succeeds at once, unless told otherwise. */
export function testKind(overrides: Partial<DeliveryKind> = {}): DeliveryKind {
  return {
    name: 'test',
    slots: 10,
    attemptTimeoutMs: 10_000,
    keepsPayload: false,
    deliver: async () => ({ result: 'succeeded' }),
    retryDelayMs: (attempts) => (attempts < 5 ? 0 : undefined),
    ...overrides,
  }
}

export async function emptyDelivery(db: Db): Promise<void> {
  await db.run(sql`
    TRUNCATE deliveries, delivery_keys, delivery_counts, deliveries_succeeded, deliveries_failed, delivery_attempts,
             delivery_destinations, delivery_workers`)
}

export async function queue(db: Db, items: Partial<NewDelivery>[]): Promise<number> {
  return db.transaction((tx) =>
    queueDeliveries(
      tx,
      items.map((item, index) => ({ kind: 'test', key: `key-${index}`, destination: 'one', payload: {}, ...item })),
    ),
  )
}

export async function startWorker(db: Db, kind: DeliveryKind, options: { clock?: Clock; leaseMs?: number } = {}) {
  const worker = createWorker({ db, clock: forwardClock(), log: silent, kinds: [kind], ...options })
  await worker.start()
  return worker
}

export interface Account {
  committed: number
  pending: number
  leased: number
  parked: number
  succeeded: number
  failed: number
}

/** The account over all destinations. Throws when committed = pending + leased + parked + succeeded + failed does not hold for one. */
export async function accountOf(db: Db): Promise<Account> {
  const sum: Account = { committed: 0, pending: 0, leased: 0, parked: 0, succeeded: 0, failed: 0 }
  for (const row of await deliveryStats(db)) {
    const found = row.pending + row.leased + row.parked + row.succeeded + row.failed
    if (found !== row.committed)
      throw new Error(`${row.destination}: ${row.committed} committed, ${found} accounted for`)
    for (const key of Object.keys(sum) as (keyof Account)[]) sum[key] += row[key]
  }
  return sum
}

/** Until nothing is waiting or running, other than what is parked. */
export async function untilDone(db: Db, maxMs?: number): Promise<Account> {
  let account = await accountOf(db)
  await until(
    'all deliveries are finished',
    async () => {
      account = await accountOf(db)
      return account.pending + account.leased === 0
    },
    maxMs,
  )
  return account
}
