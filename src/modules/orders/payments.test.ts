import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import {
  eventually,
  freeUnits,
  offerProduct,
  order,
  stateOf,
  step,
  type OrderAnswer,
} from '../../../test/support/orders.ts'
import { systemClock } from '../../platform/clock.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Service } from '../../platform/service.ts'
import type { Payment, PaymentOutcome, PaymentProvider } from './payment-provider.ts'
import { claimPayments } from './payment-queries.ts'
import { createPaymentWorker } from './payment-worker.ts'
import { applyOutcome, settleConfirmedOrder } from './payments.ts'

/** An api process; the workers are those of the tests. */
let souk: TestApp
let customer: TestUser
let staff: TestUser
let productId: string
let workers: Service[] = []

beforeAll(async () => {
  souk = await startTestApp({ role: 'api', env: { CONFIRM_WINDOW_SECONDS: '600' } })
  customer = await souk.signUp()
  staff = await souk.staff()
})
afterAll(() => souk.close())
beforeEach(async () => {
  productId = await offerProduct(souk, customer, { stock: { default: 5 } })
})
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()))
  workers = []
  await souk.db.run(sql`UPDATE payments SET status = 'declined' WHERE status IN ('pending', 'refunding')`)
})

/** A provider of money that keeps an account of what it was asked, and answers when told to. */
function fakeProvider() {
  const settled: string[] = []
  const refunded: string[] = []
  const waiting = new Map<string, (outcome: PaymentOutcome | Error) => void>()
  const provider: PaymentProvider = {
    name: 'fake',
    settle: (payment: Payment) => {
      settled.push(payment.id)
      return new Promise((resolve, reject) => {
        waiting.set(payment.orderId, (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
      })
    },
    refund: async (payment: Payment) => {
      refunded.push(payment.id)
    },
  }
  const answer = async (orderId: string, outcome: PaymentOutcome | Error): Promise<void> => {
    await eventually(async () => waiting.has(orderId))
    waiting.get(orderId)!(outcome)
    waiting.delete(orderId)
  }
  return { provider, settled, refunded, answer }
}

async function startWorker(provider: PaymentProvider): Promise<Service> {
  const worker = createPaymentWorker({ db: souk.db, clock: systemClock, log: pino({ level: 'silent' }), provider })
  workers.push(worker)
  await worker.start()
  return worker
}

/** A confirmed order whose payment is due now. */
async function confirmedOrder(): Promise<OrderAnswer> {
  const placed = await order(souk, customer, { id: productId, quantity: 2 })
  expect((await step(souk, customer, placed.id, 'confirm')).statusCode).toBe(200)
  await makeDue(placed.id)
  return placed
}

async function makeDue(orderId: string): Promise<void> {
  await souk.db.run(sql`UPDATE payments SET due_at = now() WHERE order_id = ${orderId}`)
}

async function statusOf(orderId: string): Promise<string | undefined> {
  return (await souk.db.row<{ status: string }>(sql`SELECT status FROM payments WHERE order_id = ${orderId}`))?.status
}

async function shownStatusOf(orderId: string): Promise<string | undefined> {
  const response = await souk.inject({ method: 'GET', url: `/api/orders/${orderId}/`, headers: customer.headers })
  return response.json<OrderAnswer>().payment?.status
}

it.each([
  ['accepted', 'ACCEPTED', 'accepted', 3],
  ['declined', 'CANCELLED', 'declined', 5],
  ['held', 'CONFIRMED', 'pending', 3],
] as const)('with a payment %s the order is %s', async (outcome, state, shown, units) => {
  const { id } = await confirmedOrder()
  const { provider, answer } = fakeProvider()
  await startWorker(provider)

  await answer(id, outcome)

  await eventually(async () => (await statusOf(id)) === outcome)
  expect(await stateOf(souk, customer, id)).toBe(state)
  expect(await shownStatusOf(id)).toBe(shown)
  expect(await freeUnits(souk.db, productId)).toBe(units)
})

it('attempts a payment once, with two workers and the event seen many times', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, answer } = fakeProvider()
  await Promise.all([startWorker(provider), startWorker(provider)])
  for (let n = 0; n < 5; n++) await souk.db.transaction((tx) => settleConfirmedOrder(tx, id))

  await answer(id, 'accepted')
  await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
  await souk.db.transaction((tx) => settleConfirmedOrder(tx, id))
  await new Promise((resolve) => setTimeout(resolve, 600))

  expect(settled).toHaveLength(1)
})

it('does nothing for an unknown order and for one that is not confirmed', async () => {
  const { id } = await order(souk, customer, { id: productId, quantity: 1 })

  await souk.db.transaction((tx) => settleConfirmedOrder(tx, '00000000-0000-7000-8000-000000000000'))
  await souk.db.transaction((tx) => settleConfirmedOrder(tx, id))

  expect(await stateOf(souk, customer, id)).toBe('PENDING_CONFIRMATION')
  expect(await statusOf(id)).toBeUndefined()
})

it('waits a moment after the confirmation, and without the event for less than a minute', async () => {
  const { id } = await order(souk, customer, { id: productId, quantity: 1 })
  await step(souk, customer, id, 'confirm')
  const wait = sql`SELECT extract(epoch FROM due_at - created)::int AS seconds FROM payments WHERE order_id = ${id}`

  const withoutEvent = await souk.db.row<{ seconds: number }>(wait)
  await souk.db.transaction((tx) => settleConfirmedOrder(tx, id))

  expect(withoutEvent!.seconds).toBeLessThan(60)
  expect(await souk.db.row(wait)).toEqual({ seconds: 1 })
})

it('asks again under the same id when the provider does not know', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, answer } = fakeProvider()
  await startWorker(provider)

  await answer(id, new Error('the line is dead'))
  await eventually(async () => (await lastErrorOf(id)) === 'the line is dead')
  expect(await stateOf(souk, customer, id)).toBe('CONFIRMED')
  await makeDue(id)
  await answer(id, 'accepted')

  await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
  expect(settled).toHaveLength(2)
  expect(new Set(settled).size).toBe(1)
})

async function lastErrorOf(orderId: string): Promise<string | null | undefined> {
  const row = await souk.db.row<{ error: string | null }>(sql`
    SELECT last_error AS error FROM payments WHERE order_id = ${orderId} AND claim IS NULL`)
  return row?.error
}

it('takes over from a worker that died in the middle, and refuses its result when it comes after all', async () => {
  const { id } = await confirmedOrder()
  const dead = (await souk.db.transaction((tx) => claimPayments(tx, 10))).find((claim) => claim.orderId === id)!
  const { provider, settled, answer } = fakeProvider()
  await makeDue(id)
  await startWorker(provider)

  await answer(id, 'accepted')
  await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
  const isWritten = await souk.db.transaction((tx) => applyOutcome(tx, dead, 'declined', new Date()))

  expect(isWritten).toBe(false)
  expect(settled).toEqual([dead.id])
  expect(await stateOf(souk, customer, id)).toBe('ACCEPTED')
})

it('keeps a payment that takes longer than a lease in one hand', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, answer } = fakeProvider()
  await Promise.all([startWorker(provider), startWorker(provider)])

  await new Promise((resolve) => setTimeout(resolve, 8_000))
  await answer(id, 'accepted')

  await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
  expect(settled).toHaveLength(1)
}, 20_000)

it('never asks for the money of an order that was cancelled first', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, refunded } = fakeProvider()

  expect((await step(souk, customer, id, 'cancel')).statusCode).toBe(200)
  await startWorker(provider)
  await new Promise((resolve) => setTimeout(resolve, 600))

  expect([settled, refunded]).toEqual([[], []])
  expect(await shownStatusOf(id)).toBe('declined')
  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('gives money back once that arrives after the order was cancelled', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, refunded, answer } = fakeProvider()
  await Promise.all([startWorker(provider), startWorker(provider)])
  await eventually(async () => settled.length === 1)

  expect((await step(souk, customer, id, 'cancel')).statusCode).toBe(200)
  await answer(id, 'accepted')

  await eventually(async () => (await statusOf(id)) === 'refunded')
  expect(refunded).toEqual(settled)
  expect(await stateOf(souk, customer, id)).toBe('CANCELLED')
  expect(await shownStatusOf(id)).toBe('declined')
  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('gives nothing back of a payment that was declined after the order was cancelled', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, refunded, answer } = fakeProvider()
  await startWorker(provider)
  await eventually(async () => settled.length === 1)

  await step(souk, customer, id, 'cancel')
  await answer(id, 'declined')

  await eventually(async () => (await statusOf(id)) === 'declined')
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(refunded).toEqual([])
  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('gives back what a dead worker may have taken for an order that was then cancelled', async () => {
  const { id } = await confirmedOrder()
  const dead = (await souk.db.transaction((tx) => claimPayments(tx, 10))).find((claim) => claim.orderId === id)!
  await step(souk, customer, id, 'cancel')
  const { provider, settled, refunded } = fakeProvider()
  await makeDue(id)

  await startWorker(provider)

  await eventually(async () => (await statusOf(id)) === 'refunded')
  expect([settled, refunded]).toEqual([[], [dead.id]])
})

it('lets go of a held payment when its order is cancelled', async () => {
  const { id } = await confirmedOrder()
  const { provider, refunded, answer } = fakeProvider()
  await startWorker(provider)
  await answer(id, 'held')
  await eventually(async () => (await statusOf(id)) === 'held')

  await step(souk, customer, id, 'cancel')

  await eventually(async () => (await statusOf(id)) === 'refunded')
  expect(refunded).toHaveLength(1)
})

it('leaves an order that staff accepted as it is, whatever the provider says later', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled, answer } = fakeProvider()
  await startWorker(provider)
  await eventually(async () => settled.length === 1)

  expect((await step(souk, staff, id, 'accept')).statusCode).toBe(200)
  await answer(id, 'declined')
  await new Promise((resolve) => setTimeout(resolve, 400))

  expect(await stateOf(souk, customer, id)).toBe('ACCEPTED')
  expect(await shownStatusOf(id)).toBe('accepted')
  expect(await freeUnits(souk.db, productId)).toBe(3)
})

it('puts a payment back at once when the worker stops', async () => {
  const { id } = await confirmedOrder()
  const { provider, settled } = fakeProvider()
  const worker = await startWorker(provider)
  await eventually(async () => settled.length === 1)

  await worker.stop()

  const row = await souk.db.row(sql`SELECT claim, due_at <= now() AS "isDue" FROM payments WHERE order_id = ${id}`)
  expect(row).toEqual({ claim: null, isDue: true })
})
