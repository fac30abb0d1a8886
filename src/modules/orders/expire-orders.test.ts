import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { movableClock } from '../../../test/support/clock.ts'
import { eventually, freeUnits, offerProduct, order, stateOf, step } from '../../../test/support/orders.ts'
import { sql } from '../../platform/db/sql.ts'
import { expireOrdersSweep } from './expire-orders.ts'
import { cancelOrdersOfUser } from './order-transitions.ts'

const clock = movableClock()
/** An api process without any worker. */
let souk: TestApp
let seller: TestUser
let customer: TestUser
let productId: string

beforeAll(async () => {
  souk = await startTestApp({ role: 'api', clock })
  seller = await souk.signUp()
  customer = await souk.signUp()
})
afterAll(() => souk.close())
beforeEach(async () => {
  productId = await offerProduct(souk, seller, { stock: { default: 5 } })
})

it('reads NOT_CONFIRMED everywhere past its time, while no worker runs', async () => {
  const placed = await order(souk, customer, { id: productId, quantity: 5 })

  clock.advance(60)

  expect(await stateOf(souk, customer, placed.id)).toBe('NOT_CONFIRMED')
  const listed = await souk.inject({ method: 'GET', url: '/api/orders/', headers: customer.headers })
  expect(listed.json<{ state: string }[]>().at(-1)).toMatchObject({
    state: 'NOT_CONFIRMED',
    updated: placed.confirm_before,
  })
  const sale = await souk.inject({ method: 'GET', url: `/api/sales/${placed.id}/`, headers: seller.headers })
  expect(sale.json()).toMatchObject({ state: 'NOT_CONFIRMED', updated: placed.confirm_before })
})

it('reads the same before and after the sweep', async () => {
  const { id } = await order(souk, customer, { id: productId, quantity: 5 })
  clock.advance(60)
  const url = `/api/orders/${id}/`
  const before = await souk.inject({ method: 'GET', url, headers: customer.headers })

  await expireOrdersSweep({ db: souk.db, clock }).run()

  const after = await souk.inject({ method: 'GET', url, headers: customer.headers })
  expect(after.json()).toEqual(before.json())
})

it('gives the units back once, however many sweeps run', async () => {
  await order(souk, customer, { id: productId, quantity: 3 })
  await order(souk, customer, { id: productId, quantity: 2 })
  clock.advance(60)
  const sweeps = Array.from({ length: 4 }, () => expireOrdersSweep({ db: souk.db, clock }))

  await Promise.all(sweeps.map((sweep) => sweep.run()))
  await sweeps[0]!.run()

  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('leaves an order alone until its time has passed', async () => {
  const { id } = await order(souk, customer, { id: productId, quantity: 3 })
  clock.advance(59)

  await expireOrdersSweep({ db: souk.db, clock }).run()

  expect(await stateOf(souk, customer, id)).toBe('PENDING_CONFIRMATION')
  expect(await freeUnits(souk.db, productId)).toBe(2)
})

it('sells the units of an expired order while no worker runs', async () => {
  await order(souk, customer, { id: productId, quantity: 5 })
  clock.advance(60)

  const next = await order(souk, customer, { id: productId, quantity: 5 })

  expect(next.state).toBe('PENDING_CONFIRMATION')
  expect(await freeUnits(souk.db, productId)).toBe(0)
})

it('sells all units of expired orders to as many buyers who come at once', async () => {
  const units = 20
  const wanted = await offerProduct(souk, seller, { stock: { default: units } })
  for (let n = 0; n < units; n++) await order(souk, customer, { id: wanted, quantity: 1 })
  clock.advance(60)
  const payload = { products: [{ id: wanted, quantity: 1 }] }

  const answers = await Promise.all(
    Array.from({ length: units + 5 }, () =>
      souk.inject({ method: 'POST', url: '/api/orders/', headers: customer.headers, payload }),
    ),
  )

  const placed = answers.filter((answer) => answer.statusCode === 201)
  const refused = answers.filter((answer) => answer.statusCode === 400)
  expect([placed.length, refused.length]).toEqual([units, 5])
  expect(await freeUnits(souk.db, wanted)).toBe(0)
})

it('answers a late confirm 400, and that the order is NOT_CONFIRMED stays', async () => {
  const { id } = await order(souk, customer, { id: productId, quantity: 4 })
  clock.advance(60)

  const late = await step(souk, customer, id, 'confirm')
  const again = await step(souk, customer, id, 'confirm')

  expect([late.statusCode, again.statusCode]).toEqual([400, 400])
  const row = await souk.db.row(sql`SELECT state FROM orders WHERE id = ${id}`)
  expect(row).toEqual({ state: 'NOT_CONFIRMED' })
  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('takes a confirm to the last moment, and none with bad details after it', async () => {
  const inTime = await order(souk, customer, { id: productId, quantity: 1 })
  const late = await order(souk, customer, { id: productId, quantity: 1 })
  clock.advance(59)
  const first = await step(souk, customer, inTime.id, 'confirm')
  clock.advance(1)

  const second = await souk.inject({
    method: 'POST',
    url: `/api/orders/${late.id}/confirm/`,
    headers: customer.headers,
    payload: { payment: { method: 'shells' } },
  })

  expect([first.statusCode, second.statusCode]).toEqual([200, 400])
  const row = await souk.db.row(sql`SELECT state FROM orders WHERE id = ${late.id}`)
  expect(row).toEqual({ state: 'NOT_CONFIRMED' })
})

it('does not bring back a variant or a product that is gone', async () => {
  const both = await offerProduct(souk, seller, { stock: { small: 2, large: 2 } })
  await order(
    souk,
    customer,
    { id: both, variant: 'small', quantity: 1 },
    { id: both, variant: 'large', quantity: 2 },
    { id: productId, quantity: 1 },
  )
  const change = { method: 'PATCH', url: `/api/products/${both}/`, headers: seller.headers } as const
  expect((await souk.inject({ ...change, payload: { stock: { small: 7 } } })).statusCode).toBe(200)
  const removed = await souk.inject({ method: 'DELETE', url: `/api/products/${productId}/`, headers: seller.headers })
  expect(removed.statusCode).toBe(204)
  clock.advance(60)

  await expireOrdersSweep({ db: souk.db, clock }).run()

  expect(await freeUnits(souk.db, both, 'small')).toBe(8)
  expect(await freeUnits(souk.db, both, 'large')).toBeUndefined()
  expect(await freeUnits(souk.db, productId)).toBeUndefined()
})

it('leaves late orders of a deleted customer NOT_CONFIRMED, and cancels those still in time', async () => {
  const user = await souk.signUp()
  const late = await order(souk, user, { id: productId, quantity: 2 })
  clock.advance(30)
  const inTime = await order(souk, user, { id: productId, quantity: 3 })
  clock.advance(30)

  await souk.db.transaction((tx) => cancelOrdersOfUser(tx, { id: user.userId, actor: user.userId }, clock.now()))
  await souk.db.transaction((tx) => cancelOrdersOfUser(tx, { id: user.userId, actor: user.userId }, clock.now()))

  expect(await stateOf(souk, user, late.id)).toBe('NOT_CONFIRMED')
  expect(await stateOf(souk, user, inTime.id)).toBe('CANCELLED')
  expect(await freeUnits(souk.db, productId)).toBe(5)
})

it('expires by itself where a worker runs', async () => {
  const served = await startTestApp({ env: { CONFIRM_WINDOW_SECONDS: '1' } })
  try {
    const user = await served.signUp()
    const id = await offerProduct(served, user)
    await order(served, user, { id, quantity: 5 })

    await eventually(async () => (await freeUnits(served.db, id)) === 5)

    const states = await served.db.rows(sql`SELECT state FROM orders`)
    expect(states).toEqual([{ state: 'NOT_CONFIRMED' }])
  } finally {
    await served.close()
  }
})
