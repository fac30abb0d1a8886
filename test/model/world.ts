import type { InjectOptions, LightMyRequestResponse } from 'fastify'

import { orders } from '../../src/modules/orders/index.ts'
import { sql } from '../../src/platform/db/sql.ts'
import type { TestApp } from '../support/app.ts'
import { insertBuyers, type Buyer } from '../races/buyers.ts'

/** The real store, with its background work done when a command says so and not before. */
export interface World {
  staff: Buyer
  clock: { advance(ms: number): void }
  call(method: Method, url: string, buyer: Buyer, payload?: object): Promise<LightMyRequestResponse>
  sweep(): Promise<void>
  settle(): Promise<void>
  /** A command was carried out. */
  count(): void
}

type Method = NonNullable<Extract<InjectOptions['method'], 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'>>

export interface FakeClock {
  now(): Date
  advance(ms: number): void
}

export function createFakeClock(): FakeClock {
  let now = Date.now()
  return {
    now: () => new Date(now),
    advance: (ms) => {
      now += ms
    },
  }
}

export const CONFIRM_WINDOW_SECONDS = 60

/** The app must run in the role `api`, so that nothing happens behind the back of the commands. */
export async function createWorld(souk: TestApp, clock: FakeClock, count: () => void): Promise<World> {
  const [staff] = await insertBuyers(souk.db, 1, { areStaff: true })
  const context = { db: souk.db, config: souk.config, clock, log: souk.log }
  const expireOrders = orders.sweeps?.(context).find(({ name }) => name === 'orders.expire-orders')
  if (expireOrders === undefined) throw new Error('the module orders has no sweep orders.expire-orders')
  return {
    staff: staff!,
    clock,
    count,
    call: (method, url, buyer, payload) =>
      souk.inject({ method, url, headers: buyer.headers, ...(payload === undefined ? {} : { payload }) }),
    sweep: () => expireOrders.run(),
    settle: async () => {
      // The worker leaves the customer a second to think again.
      await souk.db.run(sql`UPDATE payments SET due_at = now() WHERE status IN ('pending', 'refunding')`)
      const worker = orders.services?.(context).find(({ name }) => name === 'orders.payment-worker')
      if (worker === undefined) throw new Error('the module orders has no service orders.payment-worker')
      await worker.start()
      await untilSettled(souk)
      await worker.stop()
    },
  }
}

const SETTLE_LIMIT_MS = 10_000

async function untilSettled({ db }: TestApp): Promise<void> {
  const until = Date.now() + SETTLE_LIMIT_MS
  for (;;) {
    const row = await db.row<{ waiting: number }>(
      sql`SELECT count(*) AS waiting FROM payments WHERE status IN ('pending', 'refunding')`,
    )
    if (row?.waiting === 0) return
    if (Date.now() > until) throw new Error(`${row?.waiting} payments are not settled`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
