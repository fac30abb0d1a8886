import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { eventually, offerProduct, order, stateOf, step } from '../../../test/support/orders.ts'
import { redisIsMissing, startRedis, type RedisServer } from '../../../test/support/redis.ts'
import { sql } from '../../platform/db/sql.ts'

const STREAM = 'souk.public.orders'

describe.skipIf(redisIsMissing !== undefined)('with PAYMENT_EVENTS=stream', () => {
  let redis: RedisServer
  let souk: TestApp
  let customer: TestUser
  let productId: string

  beforeAll(async () => {
    redis = await startRedis()
    souk = await startTestApp({ env: { REDIS_URL: redis.url, PAYMENT_EVENTS: 'stream' } })
    customer = await souk.signUp()
    productId = await offerProduct(souk, customer, { stock: { default: 100 } })
  })
  afterAll(async () => {
    await souk.close()
    await redis.close()
  })

  it('pays what the stream says was confirmed', async () => {
    const { id } = await order(souk, customer, { id: productId, quantity: 1 })

    await step(souk, customer, id, 'confirm', 'invoice 7')

    await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
    const group = (await redis.client().xinfo('GROUPS', STREAM)) as unknown[][]
    expect(group[0]).toContain('souk-payments')
  })

  it('does nothing for entries seen twice, for unknown orders and for other transitions', async () => {
    const client = redis.client()
    const { id } = await order(souk, customer, { id: productId, quantity: 1 })
    await step(souk, customer, id, 'confirm', 'invoice 7')
    await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED')
    const entry = (rowId: unknown, after: unknown): string[] => [
      JSON.stringify({ payload: { id: rowId } }),
      JSON.stringify({ payload: { before: null, after, op: 'u', source: {}, ts_ms: 0, transaction: null } }),
    ]

    await client.xadd(STREAM, '*', ...entry(id, { state: 'CONFIRMED' }))
    await client.xadd(STREAM, '*', ...entry('0193e3a0-7c1e-7000-8000-3f2a5c9d1b47', { state: 'CONFIRMED' }))
    await client.xadd(STREAM, '*', ...entry('not an id', { state: 'CONFIRMED' }))
    await client.xadd(STREAM, '*', ...entry(id, { state: 'SHIPPED' }))
    await client.xadd(STREAM, '*', ...entry(id, null))

    await eventually(async () => isReadToItsEnd(await client.xinfo('GROUPS', STREAM)))
    expect(await stateOf(souk, customer, id)).toBe('ACCEPTED')
    const payments = await souk.db.rows(sql`SELECT status, attempts FROM payments WHERE order_id = ${id}`)
    expect(payments).toEqual([{ status: 'accepted', attempts: 1 }])
  })

  it('pays what was confirmed while Redis was away', async () => {
    const { id } = await order(souk, customer, { id: productId, quantity: 1 })
    await redis.end()
    await step(souk, customer, id, 'confirm', 'invoice 7')

    await redis.start()

    await eventually(async () => (await stateOf(souk, customer, id)) === 'ACCEPTED', 30_000)
    expect(await stateOf(souk, customer, id)).toBe('ACCEPTED')
  }, 40_000)
})

function isReadToItsEnd(groups: unknown): boolean {
  const [fields] = groups as unknown[][]
  const valueOf = (name: string): unknown => fields?.[fields.indexOf(name) + 1]
  return valueOf('pending') === 0 && valueOf('lag') === 0
}
