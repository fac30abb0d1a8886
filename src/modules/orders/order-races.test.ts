import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { movableClock } from '../../../test/support/clock.ts'
import { freeUnits, offerProduct, order, step, type OrderAnswer } from '../../../test/support/orders.ts'
import { sql } from '../../platform/db/sql.ts'
import { expireOrdersSweep } from './expire-orders.ts'
import type { PaymentOutcome } from './payment-provider.ts'
import { claimPayments } from './payment-queries.ts'
import { applyOutcome, applyRefund } from './payments.ts'
import { placeOrder } from './place-order.ts'

const clock = movableClock()
let souk: TestApp
let customer: TestUser
let staff: TestUser
let seller: TestUser

beforeAll(async () => {
  souk = await startTestApp({ role: 'api', clock })
  customer = await souk.signUp()
  staff = await souk.staff()
  seller = await souk.signUp()
})
afterAll(() => souk.close())

const UNITS = 5
const WANTED = 2
const WINDOW_SECONDS = 60

interface Race {
  orderId: string
  /** What the provider was asked for and told. */
  taken: number
  refunded: number
}

type Act = (race: Race) => Promise<number>

const request =
  (user: () => TestUser, name: 'confirm' | 'cancel' | 'accept' | 'ship'): Act =>
  async ({ orderId }) =>
    (await step(souk, user(), orderId, name)).statusCode

/** What a worker does, with the provider answering at once. */
const pay =
  (outcome: PaymentOutcome): Act =>
  async (race) => {
    const { orderId } = race
    await souk.db.run(sql`UPDATE payments SET due_at = now() WHERE order_id = ${orderId} AND claim IS NULL`)
    const claims = await souk.db.transaction((tx) => claimPayments(tx, 10))
    for (const claim of claims) {
      // The customer may be quicker than the answer.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
      if (claim.status === 'refunding') {
        race.refunded += 1
        await souk.db.transaction((tx) => applyRefund(tx, claim))
      } else {
        race.taken += outcome === 'accepted' ? 1 : 0
        await souk.db.transaction((tx) => applyOutcome(tx, claim, outcome, clock.now()))
      }
    }
    return claims.length
  }

const sweep: Act = async () => {
  await expireOrdersSweep({ db: souk.db, clock }).run()
  return 0
}

const acts: Record<string, Act> = {
  confirm: request(() => customer, 'confirm'),
  cancel: request(() => customer, 'cancel'),
  accept: request(() => staff, 'accept'),
  ship: request(() => staff, 'ship'),
  payAccepted: pay('accepted'),
  payDeclined: pay('declined'),
  payHeld: pay('held'),
  sweep,
  sweepTwice: async (race) => (await Promise.all([sweep(race), sweep(race)]))[0],
  timePasses: async () => {
    clock.advance(WINDOW_SECONDS)
    return 0
  },
}

/** Acts of one round happen at the same time. */
const rounds = fc.array(fc.array(fc.constantFrom(...Object.keys(acts)), { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 4,
})

interface Result {
  state: string
  payments: { status: string }[]
  endings: number
  free: number | undefined
  answers: { name: string; status: number }[]
  race: Race
}

async function run(plan: readonly (readonly string[])[]): Promise<Result> {
  const productId = await offerProduct(souk, seller, { stock: { default: UNITS } })
  const { id } = await order(souk, customer, { id: productId, quantity: WANTED })
  const race: Race = { orderId: id, taken: 0, refunded: 0 }
  const answers: Result['answers'] = []
  for (const round of plan) {
    const statuses = await Promise.all(round.map((name) => acts[name]!(race)))
    answers.push(...statuses.map((status, place) => ({ name: round[place]!, status })))
  }
  // What is still due is done in the end, as it is where a worker runs.
  await pay('accepted')(race)
  await pay('accepted')(race)
  await sweep(race)
  const read = await souk.inject({ method: 'GET', url: `/api/orders/${id}/`, headers: customer.headers })
  const endings = await souk.db.rows(sql`
    SELECT 1 FROM outbox WHERE subject_id = ${id}
      AND topic IN ('orders.order.cancelled', 'orders.order.expired')`)
  return {
    state: read.json<OrderAnswer>().state,
    payments: await souk.db.rows<{ status: string }>(sql`SELECT status FROM payments WHERE order_id = ${id}`),
    endings: endings.length,
    free: await freeUnits(souk.db, productId),
    answers,
    race,
  }
}

const isEnded = (state: string) => state === 'CANCELLED' || state === 'NOT_CONFIRMED'

it('keeps units and money straight, whatever happens at the same time', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (plan) => {
      const { state, payments, endings, free, answers, race } = await run(plan)

      const succeeded = (name: string) => answers.filter((answer) => answer.name === name && answer.status === 200)
      expect(answers.every(({ status }) => status < 500)).toBe(true)
      expect(free).toBe(isEnded(state) ? UNITS : UNITS - WANTED)
      expect(endings).toBe(isEnded(state) ? 1 : 0)
      expect(payments.length).toBe(succeeded('confirm').length > 0 ? 1 : 0)
      expect(succeeded('cancel').length).toBeLessThanOrEqual(1)
      expect(succeeded('cancel').length === 1 && state !== 'CANCELLED').toBe(false)
      expect(state === 'NOT_CONFIRMED' && payments.length > 0).toBe(false)
      const [payment] = payments
      expect(state === 'CANCELLED' && ['pending', 'held', 'accepted'].includes(payment?.status ?? '')).toBe(false)
      expect(['ACCEPTED', 'SHIPPED'].includes(state) && payment?.status !== 'accepted').toBe(false)
      // Money that was taken for an order that is cancelled goes back, once.
      expect(race.refunded).toBeLessThanOrEqual(1)
      expect(race.taken > 0 && state === 'CANCELLED' && race.refunded === 0).toBe(false)
    }),
    { numRuns: 120 },
  )
}, 180_000)

it('sells 50 units to 500 buyers of one to three, and not one more', async () => {
  const stock = 50
  const productId = await offerProduct(souk, seller, { stock: { default: stock } })
  const buyers = await Promise.all(Array.from({ length: 5 }, () => souk.signUp()))
  const wishes = Array.from({ length: 500 }, (_, n) => ({ buyer: buyers[n % 5]!, quantity: 1 + (n % 3) }))

  const answers = await Promise.all(
    wishes.map(({ buyer, quantity }) =>
      souk.inject({
        method: 'POST',
        url: '/api/orders/',
        headers: buyer.headers,
        payload: { products: [{ id: productId, quantity }] },
      }),
    ),
  )

  const placed = answers.filter((answer) => answer.statusCode === 201).map((answer) => answer.json<OrderAnswer>())
  const refused = answers.filter((answer) => answer.statusCode === 400)
  const sold = placed.flatMap((one) => one.order_line_items).reduce((sum, line) => sum + line.quantity, 0)
  expect(placed.length + refused.length).toBe(500)
  expect(sold).toBe(stock)
  expect(await freeUnits(souk.db, productId)).toBe(0)
}, 60_000)

it('never waits in a circle: orders over (A, B) and (B, A), cancelled and expired meanwhile', async () => {
  const stock = { default: 1_000 }
  const [a, b] = [await offerProduct(souk, seller, { stock }), await offerProduct(souk, seller, { stock })]
  const buy = async (first: string, second: string): Promise<number> => {
    const placed = await order(souk, customer, { id: first, quantity: 2 }, { id: second, quantity: 1 })
    return (await step(souk, customer, placed.id, 'cancel')).statusCode
  }
  const rush = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? buy(a, b) : buy(b, a)))

  const statuses = await Promise.all([...rush, ...Array.from({ length: 5 }, () => sweep({} as Race))])

  expect(statuses.slice(0, 60)).toEqual(Array<number>(60).fill(200))
  expect([await freeUnits(souk.db, a), await freeUnits(souk.db, b)]).toEqual([1_000, 1_000])
}, 60_000)

it('places no order for a customer who is being deleted that the deletion does not call off', async () => {
  for (let round = 0; round < 5; round++) {
    const leaving = await souk.signUp()
    const product = await offerProduct(souk, seller, { stock: { default: 100 } })
    const payload = { products: [{ id: product, quantity: 1 }] }
    const { headers } = leaving
    const orders = Array.from({ length: 12 }, () =>
      souk.inject({ method: 'POST', url: '/api/orders/', headers, payload }),
    )
    const deletion = souk.inject({ method: 'DELETE', url: `/api/user/${leaving.userId}/`, headers: leaving.headers })

    const statuses = (await Promise.all(orders)).map((response) => response.statusCode)
    const pending = sql`SELECT FROM orders WHERE customer_id = ${leaving.userId} AND state = 'PENDING_CONFIRMATION'`

    expect((await deletion).statusCode).toBe(200)
    expect(statuses.filter((status) => status !== 201 && status !== 401)).toEqual([])
    expect(await souk.db.rows(pending)).toEqual([])
    expect(await freeUnits(souk.db, product)).toBe(100)
  }
})

it('places no order for a customer who was deleted after the credential was looked at', async () => {
  const gone = await souk.signUp()
  const product = await offerProduct(souk, seller, { stock: { default: 1 } })
  await souk.inject({ method: 'DELETE', url: `/api/user/${gone.userId}/`, headers: gone.headers })
  const lines = [{ productId: product, variant: 'default', quantity: 1 }]
  const late = { customerId: gone.userId, actor: gone.userId, lines, confirmWindowSeconds: 60, now: clock.now() }

  await expect(souk.db.transaction((tx) => placeOrder(tx, late))).rejects.toThrow('has been deleted')
  expect(await freeUnits(souk.db, product)).toBe(1)
})
