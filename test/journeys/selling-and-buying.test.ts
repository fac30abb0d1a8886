import { afterAll, beforeAll, expect, test } from 'vitest'

import { feedHead, feedItem, feedTail } from '../../bench/support/feed.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { listen, mailsWith, uploadFeed } from '../support/visitor.ts'

let souk: TestApp
let url: string

beforeAll(async () => {
  souk = await startTestApp()
  url = await souk.listen()
})

afterAll(async () => {
  await souk.close()
})

test('an item of a feed is found, put into a bag, ordered and paid; buyer and seller hear of it', async () => {
  const sol = await souk.signUp('sol')
  const bea = await souk.signUp('bea')
  expect((await uploadFeed(url, sol, feedHead + feedItem(8) + feedTail)).status).toBe(201)
  const sales = await listen(url, sol, 'orders.sale.accepted')

  const found = (await get(bea, '/api/products/?search_term=DRESS')).data[0]!
  await post(bea, '/api/bag/items/', { product_id: found.id, quantity: 3 })
  const order = await post(bea, '/api/bag/checkout/')
  await post(bea, `/api/orders/${order.id}/confirm/`, { payment: { method: 'card', reference: 'tok_1' } })

  const sale = await sales.first()
  expect(sale).toMatchObject({ topic: 'orders.sale.accepted', subject: { id: order.id } })
  expect(await get(bea, `/api/orders/${order.id}/`)).toMatchObject({
    state: 'ACCEPTED',
    order_line_items: [{ product_id: found.id, variant: 'default', quantity: 3, unit_price: found.price }],
    total: 3 * found.price,
    payment: { method: 'card', status: 'accepted' },
  })
  expect(await get(bea, `/api/products/${found.id}/`)).toMatchObject({ stock: { default: 5 }, updated: found.updated })
  expect((await get(bea, '/product-detail/8_8/')).quantity).toBe(5)
  expect((await get(bea, '/api/bag/')).items).toEqual([])
  expect(await mailsWith(souk, 'To: bea@example.com')).toHaveLength(1)
  expect(await mailsWith(souk, 'To: sol@example.com')).toHaveLength(1)
  sales.close()
})

test('a follower finds the new products of a seller in the feed, and what is withdrawn is gone', async () => {
  const mia = await souk.signUp('mia')
  const tom = await souk.signUp('tom')
  await post(tom, `/api/users/${mia.userId}/follow/`)
  const body = { title: 'Brass lamp', description: 'Warm light.', price: 4900, stock: { default: 1 } }
  const lamp = await post(mia, '/api/products/', body)

  expect((await get(tom, '/api/feed/')).data).toMatchObject([{ id: lamp.id, title: 'Brass lamp' }])
  await post(mia, `/api/products/${lamp.id}/withdraw/`)
  expect((await get(tom, '/api/feed/')).data).toEqual([])
  expect((await get(tom, `/api/users/${mia.userId}/`)).followers_count).toBe(1)
})

test('a declined payment gives the units back to everybody', async () => {
  const nora = await souk.signUp('nora')
  const olaf = await souk.signUp('olaf')
  const body = { title: 'Last vase', description: 'The only one.', price: 100, stock: { default: 1 } }
  const vase = await post(nora, '/api/products/', body)
  const order = await post(olaf, '/api/orders/', { products: [{ id: vase.id, quantity: 1 }] })
  expect((await get(olaf, `/api/products/${vase.id}/`)).sold_out).toBe(true)
  const heard = await listen(url, olaf, 'orders.order.*')

  const payment = { method: 'card', reference: 'pseudo-decline-1' }
  await post(olaf, `/api/orders/${order.id}/confirm/`, { payment })

  await heard.first('orders.order.cancelled')
  expect(await get(olaf, `/api/orders/${order.id}/`)).toMatchObject({
    state: 'CANCELLED',
    payment: { method: 'card', status: 'declined' },
  })
  expect((await get(olaf, `/api/products/${vase.id}/`)).stock).toEqual({ default: 1 })
  heard.close()
})

/** The members that these stories look at, of whatever answered. */
interface Answer {
  id: string
  price: number
  updated: string
  quantity: number
  sold_out: boolean
  followers_count: number
  stock: Record<string, number>
  items: unknown[]
  data: Answer[]
}

async function get(user: TestUser, path: string): Promise<Answer> {
  const response = await souk.inject({ method: 'GET', url: path, headers: user.headers })
  expect(response.statusCode, `${path}: ${response.body}`).toBe(200)
  return response.json<Answer>()
}

async function post(user: TestUser, path: string, payload?: object): Promise<Answer> {
  const body = payload === undefined ? {} : { payload }
  const response = await souk.inject({ method: 'POST', url: path, headers: user.headers, ...body })
  expect(response.statusCode, `${path}: ${response.body}`).toBeLessThan(300)
  return response.json<Answer>()
}
