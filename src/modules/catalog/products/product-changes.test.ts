import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'
import { sql } from '../../../platform/db/sql.ts'
import { returnStock, takeStock } from '../stock/stock.ts'

let souk: TestApp
let seller: TestUser

beforeAll(async () => {
  souk = await startTestApp()
  seller = await souk.signUp()
})
afterAll(() => souk.close())

const shirt = { title: 'Shirt', description: 'Light.', price: 1999, stock: { S: 1, M: 0 } }

async function send(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): Promise<{ id: string }> {
  const response = await souk.inject({ method, url, headers: seller.headers, ...(payload ? { payload } : {}) })
  return response.body === '' ? { id: '' } : response.json<{ id: string }>()
}

interface Recorded {
  topic: string
  key: string
  actor: string | null
  audience: string[]
  data: Record<string, unknown>
}

function changesOf(productId: string): Promise<Recorded[]> {
  return souk.db.rows<Recorded>(sql`
    SELECT topic, key, actor, audience, data FROM outbox WHERE subject_id = ${productId} ORDER BY seq`)
}

const topicsOf = async (productId: string) =>
  (await changesOf(productId)).map(({ topic, audience }) => [topic, audience.join(' ')])

it('tells everybody what becomes of an available product', async () => {
  const { id } = await send('POST', '/api/products/', shirt)
  await send('PATCH', `/api/products/${id}/`, { price: 5 })
  await send('DELETE', `/api/products/${id}/`)

  const shared = { key: `product:${id}`, actor: seller.userId, audience: ['public'] }
  const named = { productId: id, ownerId: seller.userId }
  expect(await changesOf(id)).toEqual([
    { topic: 'catalog.product.created', ...shared, data: { ...named, title: 'Shirt', price: 1999 } },
    { topic: 'catalog.product.changed', ...shared, data: { ...named, title: 'Shirt', price: 5 } },
    { topic: 'catalog.product.deleted', ...shared, data: named },
  ])
})

it('tells nobody but owner and staff of a draft', async () => {
  const { id } = await send('POST', '/api/products/', { ...shirt, state: 'DRAFT' })
  await send('PATCH', `/api/products/${id}/`, { stock: { S: 0, M: 2 } })
  await send('POST', `/api/products/${id}/publish/`)
  await send('POST', `/api/products/${id}/withdraw/`)
  await send('DELETE', `/api/products/${id}/`)

  const owner = `user:${seller.userId} staff`
  expect(await topicsOf(id)).toEqual([
    ['catalog.product.created', owner],
    ['catalog.product.sold-out', owner],
    ['catalog.product.restocked', owner],
    ['catalog.product.changed', owner],
    ['catalog.product.published', 'public'],
    ['catalog.product.withdrawn', 'public'],
    ['catalog.product.deleted', owner],
  ])
})

it('tells when a variant gives its last unit and when it has one again, and not in between', async () => {
  const { id: productId } = await send('POST', '/api/products/', { ...shirt, stock: { S: 3, M: 1 } })
  const line = (variant: string, quantity: number) => [{ productId, variant, quantity }]

  await souk.db.transaction((tx) => takeStock(tx, line('S', 2)))
  await souk.db.transaction((tx) => takeStock(tx, line('S', 1)))
  await souk.db.transaction((tx) => takeStock(tx, line('S', 1)))
  await souk.db.transaction((tx) => returnStock(tx, line('S', 1)))
  await souk.db.transaction((tx) => returnStock(tx, line('S', 1)))

  const changes = (await changesOf(productId)).slice(1)
  const data = { productId, ownerId: seller.userId, variant: 'S' }
  const shared = { key: `product:${productId}`, actor: null, audience: ['public'], data }
  expect(changes).toEqual([
    { topic: 'catalog.product.sold-out', ...shared },
    { topic: 'catalog.product.restocked', ...shared },
  ])
})

it('leaves state and time of change alone when the last unit is taken', async () => {
  const { id: productId } = await send('POST', '/api/products/', { ...shirt, stock: { default: 1 } })
  const show = async () =>
    (await souk.inject({ method: 'GET', url: `/api/products/${productId}/`, headers: seller.headers })).json<object>()
  const before = await show()

  await souk.db.transaction((tx) => takeStock(tx, [{ productId, variant: 'default', quantity: 1 }]))

  expect(await show()).toEqual({ ...before, stock: { default: 0 }, sold_out: true })
})

it('hides from a later reader what can no longer be seen, but not that it is gone', async () => {
  const reader = await souk.signUp()
  const { id } = await send('POST', '/api/products/', shirt)
  await send('POST', `/api/products/${id}/withdraw/`)
  await souk.drain()

  const read = async (user: TestUser) => {
    const response = await souk.inject({
      method: 'GET',
      url: '/api/changes/?topics=catalog.product.*&limit=500',
      headers: user.headers,
    })
    const { changes } = response.json<{ changes: { topic: string; subject: { id: string } }[] }>()
    return changes.filter(({ subject }) => subject.id === id).map(({ topic }) => topic)
  }

  expect(await read(reader)).toEqual(['catalog.product.withdrawn'])
  expect(await read(seller)).toEqual(['catalog.product.created', 'catalog.product.withdrawn'])
})

it('records a title that a feed made long', async () => {
  const { id } = await send('POST', '/api/products/', shirt)
  await souk.db.run(sql`UPDATE products SET title = ${'🧵'.repeat(9_000)} WHERE id = ${id}`)

  await send('PATCH', `/api/products/${id}/`, { price: 6 })

  const [, changed] = await changesOf(id)
  expect(changed?.data['title']).toBe('🧵'.repeat(100))
})
