import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { until } from '../support/until.ts'
import { redisIsMissing, startRedis, type RedisServer } from '../support/redis.ts'
import { clientOf, sell, type StoreClient } from './store-client.ts'
import { consume, type SeenEntry, type StreamConsumer } from './stream-consumer.ts'

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/

describe.skipIf(redisIsMissing !== undefined)(
  `the change stream${redisIsMissing ? ` (${redisIsMissing})` : ''}`,
  () => {
    let redis: RedisServer
    let souk: TestApp
    let consumer: StreamConsumer
    let staff: TestUser
    let ann: StoreClient
    let annId: string
    let bob: StoreClient
    let bobId: string

    beforeAll(async () => {
      redis = await startRedis()
      souk = await startTestApp({ env: { REDIS_URL: redis.url } })
      consumer = consume(redis.client())
      staff = await souk.staff()
      const [first, second] = [await souk.signUp(), await souk.signUp()]
      ann = clientOf(souk, first.headers)
      annId = first.userId
      bob = clientOf(souk, second.headers)
      bobId = second.userId
    })
    afterAll(async () => {
      await consumer.stop()
      await souk.close()
      await redis.close()
    })

    const of = (table: string, id: string): SeenEntry[] =>
      consumer.seen.filter((entry) => entry.stream === `souk.public.${table}` && entry.key.payload.id === id)
    const opsOf = (table: string, id: string): string =>
      of(table, id)
        .map((entry) => entry.payload.op)
        .join('')

    async function seen(table: string, id: string, ops: string): Promise<SeenEntry[]> {
      await until(`${table} ${id} is seen as ${ops}, not ${opsOf(table, id)}`, () => opsOf(table, id) === ops)
      return of(table, id)
    }

    it('tells of a product, its stock and its tags from creation to deletion', async () => {
      const tag = await clientOf(souk, staff.headers).post('/api/tags/', { name: 'linen', description: 'Of flax.' })
      const tagId = tag.json<{ id: string }>().id
      const productId = await sell(ann, { stock: { blue: 3 } })
      await ann.patch(`/api/products/${productId}/`, { price: 250, tags: [tagId], stock: { blue: 4, 'a"b:ü': 1 } })
      await ann.patch(`/api/products/${productId}/`, { tags: [] })
      await ann.delete(`/api/products/${productId}/`)

      const [created] = await seen('products', productId, 'cuuu')
      const [, changed] = of('products', productId)
      const deleted = of('products', productId).at(-1)
      expect(created!.payload).toMatchObject({
        before: null,
        after: { id: productId, title: 'Linen shirt', price: 100, owner_id: annId, state: 'AVAILABLE', deleted: null },
        transaction: null,
      })
      expect(changed!.payload).toMatchObject({ before: { price: 100 }, after: { price: 250 } })
      expect(deleted!.payload.after).toMatchObject({ state: 'DELETED', deleted: expect.stringMatching(INSTANT) })
      const stock = await seen('stock_levels', `${productId}:blue`, 'cud')
      expect(stock[1]!.payload).toMatchObject({ before: { quantity: 3 }, after: { quantity: 4, variant: 'blue' } })
      expect(stock[2]!.payload).toMatchObject({ before: { id: `${productId}:blue`, quantity: 4 }, after: null })
      await seen('stock_levels', `${productId}:a"b:ü`, 'cd')
      await seen('product_tags', `${productId}:${tagId}`, 'cd')
      await seen('tags', tagId, 'c')
    })

    it('writes every member of the envelope', async () => {
      const productId = await sell(ann)
      const [entry] = await seen('products', productId, 'c')

      expect(JSON.parse(entry!.text)).toEqual({ payload: entry!.payload })
      expect(Object.keys(entry!.payload)).toEqual(['before', 'after', 'source', 'op', 'ts_ms', 'transaction'])
      expect(entry!.payload.source).toEqual({
        version: expect.any(String),
        connector: 'postgresql',
        name: 'souk',
        ts_ms: expect.any(Number),
        snapshot: 'false',
        db: expect.any(String),
        schema: 'public',
        table: 'products',
        txId: expect.any(Number),
        lsn: expect.any(Number),
      })
      expect(Math.abs(entry!.payload.ts_ms - Date.now())).toBeLessThan(60_000)
      expect(entry!.payload.after).toMatchObject({
        created: expect.stringMatching(INSTANT),
        updated: expect.stringMatching(INSTANT),
      })
    })

    it('tells of an order, its lines and the stock it takes and gives back', async () => {
      const productId = await sell(ann)
      const placed = await bob.post('/api/orders/', { products: [{ id: productId, quantity: 2 }] })
      const { id } = placed.json<{ id: string }>()
      await bob.post(`/api/orders/${id}/confirm/`, { payment: { method: 'card', reference: 'pseudo-hold-7391' } })
      await bob.post(`/api/orders/${id}/cancel/`)

      const entries = await seen('orders', id, 'cuu')
      expect(entries.map(({ payload }) => payload.after!.state)).toEqual([
        'PENDING_CONFIRMATION',
        'CONFIRMED',
        'CANCELLED',
      ])
      expect(entries[0]!.payload.after).toMatchObject({
        id,
        customer_id: bobId,
        deleted: null,
        created: expect.stringMatching(INSTANT),
        updated: expect.stringMatching(INSTANT),
      })
      expect(entries[2]!.payload.before).toEqual(entries[1]!.payload.after)
      const stock = await seen('stock_levels', `${productId}:default`, 'cuu')
      expect(stock.map(({ payload }) => payload.after!.quantity)).toEqual([10, 8, 10])
      const line = consumer.seen.find((entry) => entry.payload.after?.order_id === id)
      expect(line).toMatchObject({ stream: 'souk.public.order_lines', payload: { op: 'c', after: { quantity: 2 } } })
      expect(consumer.seen.filter((entry) => entry.text.includes('pseudo-hold'))).toEqual([])
    })

    it('tells of bags, what is in them, and of follows that end', async () => {
      const productId = await sell(ann)
      const filled = await bob.post('/api/bag/items/', { product_id: productId })
      const bag = filled.json<{ id: string; items: { id: string }[] }>()
      await bob.delete(`/api/bag/items/${bag.items[0]!.id}/`)
      await bob.delete('/api/bag/')
      await bob.post(`/api/users/${annId}/follow/`)
      await bob.delete(`/api/users/${annId}/follow/`)

      await until('the bag is discarded', () => of('bags', bag.id).at(-1)?.payload.after?.state === 'DISCARDED')
      await seen('bag_items', bag.items[0]!.id, 'cd')
      await until('the follow is gone', () => consumer.seen.at(-1)?.stream === 'souk.public.follows')
      const follow = consumer.seen.find((entry) => entry.payload.after?.followed_id === annId)!
      const [, ended] = await seen('follows', follow.key.payload.id, 'cd')
      expect(ended!.payload).toMatchObject({ before: { follower_id: bobId, followed_id: annId }, after: null })
    })

    it('shows nothing of a transaction that was rolled back, and nothing of a row written as it was', async () => {
      const productId = await sell(ann)
      await souk.db
        .transaction(async (tx) => {
          await tx.run(sql`UPDATE products SET title = 'never' WHERE id = ${productId}`)
          throw new Error('rolled back')
        })
        .catch(() => undefined)
      await souk.db.run(sql`UPDATE products SET title = title WHERE id = ${productId}`)
      await souk.db.run(sql`UPDATE products SET price = 9007199254740993 WHERE id = ${productId}`)

      const entries = await seen('products', productId, 'cu')
      expect(entries.filter((entry) => entry.text.includes('never'))).toEqual([])
      expect(entries[1]!.text).toContain('"price":9007199254740993,')
    })

    it('comes within milliseconds of the commit', async () => {
      const times: number[] = []
      for (let round = 0; round < 20; round++) {
        const productId = await sell(ann)
        const committed = performance.now()
        await seen('products', productId, 'c')
        times.push(performance.now() - committed)
      }
      expect(times.toSorted((a, b) => a - b)[10]).toBeLessThan(100)
    })

    it('publishes no table with hashes, tokens or payment references', async () => {
      const keys = await redis.client().keys('souk.*')
      const rows = await souk.db.rows<{ name: string }>(sql`
      SELECT DISTINCT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgfoid = 'record_row_change'::regproc ORDER BY 1`)
      expect(rows.map((row) => row.name)).toEqual([
        'bag_items',
        'bags',
        'follows',
        'order_lines',
        'orders',
        'product_tags',
        'products',
        'stock_levels',
        'tags',
      ])
      expect(keys.filter((key) => !rows.some((row) => key === `souk.public.${row.name}`))).toEqual([])
    })

    it('says in /readyz and /metrics how the stream is doing; requests go on without Redis', async () => {
      const ready = await souk.inject({ method: 'GET', url: '/readyz' })
      expect(ready.statusCode).toBe(200)
      expect(ready.body).toContain('row changes are not in Redis yet')
      await redis.end()
      const productId = await sell(ann)
      const checks = async (): Promise<{ redis: string; 'change stream': string }> => {
        const answer = await souk.inject({ method: 'GET', url: '/readyz' })
        expect(answer.statusCode).toBe(200)
        return answer.json<{ checks: { redis: string; 'change stream': string } }>().checks
      }
      await until('it is said', async () => (await checks()).redis === 'ok, but Redis at REDIS_URL does not answer')
      await until('it is said of the stream', async () =>
        /^ok, [1-9]\d* row changes are not in Redis yet.*: Redis or the database does not answer$/.test(
          (await checks())['change stream'],
        ),
      )
      const metrics = await souk.inject({ method: 'GET', url: '/metrics' })
      expect(metrics.body).toMatch(/souk_change_stream_rows\{state="published"\} [1-9]/)
      expect(metrics.body).toMatch(/souk_change_stream_rows\{state="waiting"\} [1-9]/)
      await redis.start()

      await until('it is seen', () => of('products', productId).length > 0)
      await until('it is well again', async () => (await checks()).redis === 'ok')
    })

    it('starts beside a Redis that hangs, serves, and says so', async () => {
      const hanging = await startRedis()
      hanging.signal('SIGSTOP')
      const began = performance.now()
      const other = await startTestApp({ env: { REDIS_URL: hanging.url, PAYMENT_EVENTS: 'stream' } })
      const ready = await other.inject({ method: 'GET', url: '/readyz' })
      hanging.signal('SIGCONT')

      expect(performance.now() - began).toBeLessThan(8_000)
      expect([ready.statusCode, ready.json<{ checks: object }>().checks]).toMatchObject([
        200,
        { redis: 'ok, but Redis at REDIS_URL does not answer' },
      ])
      await other.close()
      await hanging.close()
    })
  },
)
