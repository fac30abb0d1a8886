import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { eventually, offerProduct, order, stateOf, step } from '../../../test/support/orders.ts'
import { sql } from '../../platform/db/sql.ts'
import { orderMailSubscriber } from './subscribers.ts'
import type { Change } from '../../changes/index.ts'

let souk: TestApp
let customer: TestUser
let anna: TestUser
let ben: TestUser

beforeAll(async () => {
  souk = await startTestApp()
  customer = await souk.signUp()
  anna = await souk.signUp()
  ben = await souk.signUp()
})
afterAll(() => souk.close())

interface Recorded {
  id: string
  topic: string
  audience: string[]
  key: string
  data: { lines: { product_id: string }[]; line_count: number; reason?: string; subtotal?: number; total?: number }
}

function changesOf(orderId: string): Promise<Recorded[]> {
  return souk.db.rows<Recorded>(sql`
    SELECT id, topic, audience, key, data FROM outbox WHERE subject_id = ${orderId} ORDER BY seq`)
}

interface MailedTo {
  to: string
  values: { to: string; happening: string; lines: { title: string }[] }
}

/** Mails leave the queue when they are sent, so they are looked for in the local mailbox and in the queue alike. */
async function mailsQueued(): Promise<number> {
  const row = await souk.db.row<{ committed: number }>(sql`
    SELECT coalesce(sum(committed), 0)::int AS committed FROM delivery_counts WHERE kind = 'mail' AND destination = 'orders'`)
  return row!.committed
}

async function orderOfBoth(): Promise<{ id: string; ofAnna: string; ofBen: string }> {
  const ofAnna = await offerProduct(souk, anna, { title: 'Vase', price: 1_250 })
  const ofBen = await offerProduct(souk, ben, { title: 'Rug', price: 70 })
  const { id } = await order(souk, customer, { id: ofAnna, quantity: 2 }, { id: ofBen, quantity: 1 })
  return { id, ofAnna, ofBen }
}

it('tells the customer the whole order and each seller the own lines', async () => {
  const { id, ofAnna, ofBen } = await orderOfBoth()
  await step(souk, customer, id, 'confirm')
  await step(souk, customer, id, 'cancel')

  const changes = await changesOf(id)

  expect(changes.map(({ topic, audience }) => [topic, ...audience])).toEqual(
    ['placed', 'confirmed', 'cancelled'].flatMap((happening) => [
      [`orders.order.${happening}`, `user:${customer.userId}`],
      [`orders.sale.${happening}`, `user:${anna.userId}`],
      [`orders.sale.${happening}`, `user:${ben.userId}`],
    ]),
  )
  expect(new Set(changes.map(({ key }) => key))).toEqual(new Set([`order:${id}`]))
  const [whole, annas, bens] = changes.map(({ data }) => data)
  expect(whole).toMatchObject({ total: 2_570, line_count: 2, lines: [{ product_id: ofAnna }, { product_id: ofBen }] })
  expect(annas).toMatchObject({ subtotal: 2_500, line_count: 1, lines: [{ product_id: ofAnna }] })
  expect(bens).toMatchObject({ subtotal: 70, line_count: 1, lines: [{ product_id: ofBen }] })
  expect(JSON.stringify([annas, bens])).not.toContain('reference')
  expect(changes[6]!.data.reason).toBe('customer')
})

it('names as many lines as a change holds, and how many there are', async () => {
  const stock = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`${'\u{1f9e6}'.repeat(24)}${n}`, 1]))
  const productId = await offerProduct(souk, anna, { stock })
  const lines = Object.keys(stock).map((variant) => ({ id: productId, variant, quantity: 1 }))

  const { id } = await order(souk, customer, ...lines)

  const [whole, sale] = await changesOf(id)
  expect(whole!.data.line_count).toBe(100)
  expect(whole!.data.lines.length).toBeGreaterThan(50)
  expect(whole!.data.lines.length).toBeLessThan(100)
  expect(sale!.data).toMatchObject({ line_count: 100 })
})

it('mails customer and sellers on acceptance and on cancellation, once, sellers only of their own', async () => {
  const before = await mailsQueued()
  const accepted = await orderOfBoth()
  await step(souk, customer, accepted.id, 'confirm', 'invoice 7')
  await eventually(async () => (await stateOf(souk, customer, accepted.id)) === 'ACCEPTED')
  const cancelled = await orderOfBoth()
  await step(souk, customer, cancelled.id, 'cancel')
  await souk.drain()

  // The same changes again, as after a crash before the cursor moved.
  const mailed = [...(await changesOf(accepted.id)), ...(await changesOf(cancelled.id))].filter(({ topic }) =>
    orderMailSubscriber.topics.includes(topic),
  )
  const again = mailed.map((change) => ({ ...change, subject: { type: 'order', id: change.key.slice(6) } }))
  await souk.db.transaction((tx) => orderMailSubscriber.handle(tx, again as unknown as Change[]))

  expect(mailed).toHaveLength(2)
  expect(await mailsQueued()).toBe(before + 6)
})

it('says in a mail what its reader may know', async () => {
  const { id } = await orderOfBoth()
  const change = { topic: 'orders.order.accepted', id: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47', data: {} }
  const given = { ...change, subject: { type: 'order', id } } as unknown as Change

  const mails = await souk.db.transaction(async (tx) => {
    await orderMailSubscriber.handle(tx, [given])
    return tx.rows<{ payload: MailedTo }>(sql`SELECT payload FROM deliveries WHERE destination = 'orders' ORDER BY seq`)
  })

  const said = mails.map(({ payload }) => [payload.to, payload.values.lines.map((line) => line.title)])
  expect(said).toEqual([
    [customer.email, ['Vase', 'Rug']],
    [anna.email, ['Vase']],
    [ben.email, ['Rug']],
  ])
})
