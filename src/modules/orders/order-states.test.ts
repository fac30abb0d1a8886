import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { movableClock } from '../../../test/support/clock.ts'
import { freeUnits, offerProduct, order, stateOf, step, type Step } from '../../../test/support/orders.ts'
import { nextState } from '../../platform/state-machine.ts'
import { expireOrdersSweep } from './expire-orders.ts'
import { orderStates, type OrderState, type OrderTrigger } from './order-states.ts'
import type { PaymentOutcome } from './payment-provider.ts'
import { claimPayments } from './payment-queries.ts'
import { applyOutcome, settleConfirmedOrder } from './payments.ts'
import { sql } from '../../platform/db/sql.ts'

const clock = movableClock()
let souk: TestApp
let customer: TestUser
let staff: TestUser
let seller: TestUser

beforeAll(async () => {
  // Without workers: every step is taken by hand.
  souk = await startTestApp({ role: 'api', clock, env: { CONFIRM_WINDOW_SECONDS: '600' } })
  customer = await souk.signUp()
  staff = await souk.staff()
  seller = await souk.signUp()
})
afterAll(() => souk.close())

const UNITS = 3
const WINDOW_SECONDS = 600

/** How an order gets into each state. */
const ways: Record<OrderState, readonly OrderTrigger[]> = {
  PENDING_CONFIRMATION: [],
  CONFIRMED: ['confirm'],
  ACCEPTED: ['confirm', 'payment accepted'],
  SHIPPED: ['confirm', 'accept', 'ship'],
  NOT_CONFIRMED: ['expire'],
  CANCELLED: ['cancel'],
}

const isRequest = (trigger: OrderTrigger) => ['confirm', 'cancel', 'accept', 'ship'].includes(trigger)

const actions: readonly OrderTrigger[] = [
  'confirm',
  'cancel',
  'accept',
  'ship',
  'expire',
  'payment accepted',
  'payment declined',
]

async function act(orderId: string, trigger: OrderTrigger): Promise<number | undefined> {
  if (trigger === 'expire') return expire()
  if (trigger === 'payment accepted' || trigger === 'payment declined') {
    return pay(orderId, trigger === 'payment accepted' ? 'accepted' : 'declined')
  }
  const user = trigger === 'accept' || trigger === 'ship' ? staff : customer
  return (await step(souk, user, orderId, trigger as Step)).statusCode
}

async function expire(): Promise<undefined> {
  clock.advance(WINDOW_SECONDS)
  await expireOrdersSweep({ db: souk.db, clock }).run()
}

/** What the worker does with a due payment, with the given answer of the provider. */
async function pay(orderId: string, outcome: PaymentOutcome): Promise<undefined> {
  await souk.db.transaction((tx) => settleConfirmedOrder(tx, orderId))
  await souk.db.run(sql`UPDATE payments SET due_at = now() WHERE order_id = ${orderId} AND attempts = 0`)
  const claims = await souk.db.transaction((tx) => claimPayments(tx, 100))
  const claim = claims.find((candidate) => candidate.orderId === orderId)
  if (claim !== undefined) await souk.db.transaction((tx) => applyOutcome(tx, claim, outcome, clock.now()))
}

const pairs = orderStates.states.flatMap(({ name }) => actions.map((action) => [name, action] as const))

it.each(pairs)('from %s, "%s" leads where the table says or nowhere', async (state, action) => {
  const productId = await offerProduct(souk, seller, { stock: { default: 10 } })
  const { id } = await order(souk, customer, { id: productId, quantity: UNITS })
  for (const trigger of ways[state]) await act(id, trigger)
  expect(await stateOf(souk, customer, id)).toBe(state)
  const before = (await freeUnits(souk.db, productId))!

  const status = await act(id, action)

  const next = nextState(orderStates, state, action)
  const isRepeatedConfirm = state === 'CONFIRMED' && action === 'confirm'
  expect(await stateOf(souk, customer, id)).toBe(next ?? state)
  expect(status).toBe(isRequest(action) ? (next !== undefined || isRepeatedConfirm ? 200 : 400) : undefined)
  const isReturned = next === 'CANCELLED' || next === 'NOT_CONFIRMED'
  expect(await freeUnits(souk.db, productId)).toBe(before + (isReturned ? UNITS : 0))
})

it('covers every state and every trigger but the first', () => {
  const triggers = orderStates.transitions.filter(({ from }) => from !== null).map(({ trigger }) => trigger)

  expect(new Set(actions)).toEqual(new Set(triggers))
})
