import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { NOTHING, readOnlyClient } from './store-client.ts'
import { HELD, openShop, type Order, type Page, type Shop } from './store-shop.ts'

let shop: Awaited<ReturnType<typeof openShop>>
beforeAll(async () => {
  shop = await openShop()
})
afterAll(() => shop.souk.close())

describe('reading orders', () => {
  it('gives the own orders as a bare array, oldest first', async () => {
    const user = await shop.souk.signUp()
    const id = await shop.offer({ default: 5 })
    const payload = { products: [{ id, quantity: 1 }] }
    const first = (await shop.post('/api/orders/', user, payload)).json<Order>()
    const second = (await shop.post('/api/orders', user, payload)).json<Order>()

    const response = await shop.get('/api/orders/', user)
    const none = await shop.get('/api/orders', await shop.souk.signUp())

    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(response.json()).toEqual([first, second])
    expect(none.json()).toEqual([])
  })

  it('gives more orders than are read at once, each once', async () => {
    const user = await shop.souk.signUp()
    const id = await shop.offer({ default: 500 })
    const payload = { products: [{ id, quantity: 1 }] }
    const placed: string[] = []
    for (let n = 0; n < 205; n++) placed.push((await shop.post('/api/orders/', user, payload)).json<Order>().id)

    const listed = (await shop.get('/api/orders/', user)).json<Order[]>()
    const paged: string[] = []
    let offset = ''
    for (let hasNext = true; hasNext;) {
      const page = (await shop.get(`/api/orders/?page_size=100${offset}`, user)).json<Page<Order>>()
      paged.push(...page.data.map((order) => order.id))
      offset = `&offset=${page.metadata.offset_date}`
      hasNext = page.metadata.has_next
    }

    expect(listed.map((order) => order.id)).toEqual(placed)
    expect(paged).toEqual(placed)
  })

  it('gives a page when one is asked for', async () => {
    const user = await shop.souk.signUp()
    const id = await shop.offer({ default: 5 })
    const payload = { products: [{ id, quantity: 1 }] }
    const first = (await shop.post('/api/orders/', user, payload)).json<Order>()
    const second = (await shop.post('/api/orders/', user, payload)).json<Order>()

    const one = (await shop.get('/api/orders/?page_size=1', user)).json<Page<Order>>()
    const two = (await shop.get(`/api/orders/?offset=${first.created}`, user)).json<Page<Order>>()
    const none = (await shop.get(`/api/orders/?page_size=1000&offset=${second.created}`, user)).json<Page<Order>>()

    expect(one).toEqual({ metadata: { page_size: 1, offset_date: first.created, has_next: true }, data: [first] })
    expect(two).toEqual({ metadata: { page_size: 20, offset_date: second.created, has_next: false }, data: [second] })
    expect(none).toEqual({ metadata: { page_size: 100, offset_date: null, has_next: false }, data: [] })
  })

  it.each([
    ['page_size=0', 'page_size'],
    ['page_size=-1', 'page_size'],
    ['page_size=1.5', 'page_size'],
    ['page_size=', 'page_size'],
    ['page_size=many', 'page_size'],
    ['offset=yesterday', 'offset'],
    ['offset=', 'offset'],
  ])('refuses ?%s', async (query, field) => {
    const response = await shop.get(`/api/orders/?${query}`, shop.customer)

    expect(response.statusCode).toBe(400)
    expect(response.json<{ errors: object }>().errors).toHaveProperty([field])
  })

  it('shows an order to its customer and to staff, not to its seller or others', async () => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })
    const url = `/api/orders/${id}/`

    const answers = await Promise.all(
      [shop.customer, shop.staff, shop.seller, shop.stranger].map((user) => shop.get(url, user)),
    )
    const unknown = await shop.get(`/api/orders/${NOTHING}/`, shop.customer)
    const malformed = await shop.get('/api/orders/17/', shop.customer)

    expect(answers.map((answer) => answer.statusCode)).toEqual([200, 200, 403, 403])
    expect([unknown.statusCode, malformed.statusCode]).toEqual([404, 404])
  })

  it('keeps showing what was ordered when the product has changed or is gone', async () => {
    const id = await shop.offer({ default: 2 }, { price: 300 })
    const order = await shop.place({ id, quantity: 2 })
    const url = `/api/products/${id}/`
    await shop.souk.inject({
      method: 'PATCH',
      url,
      headers: shop.seller.headers,
      payload: { price: 900, title: 'Another' },
    })
    await shop.souk.inject({ method: 'DELETE', url, headers: shop.seller.headers })

    const read = await shop.get(`/api/orders/${order.id}/`, shop.customer)

    expect(read.json()).toEqual(order)
  })
})

describe('who may', () => {
  const steps = ['confirm', 'cancel', 'accept', 'ship'] as const
  const urls = (id: string) => steps.map((step) => `/api/orders/${id}/${step}/`)

  it('answers 401 without a credential', async () => {
    const paths = ['/api/orders/', `/api/orders/${NOTHING}/`, '/api/sales/', `/api/sales/${NOTHING}/`]

    const read = await Promise.all(paths.map((url) => shop.get(url, shop.nobody)))
    const written = await Promise.all(['/api/orders/', ...urls(NOTHING)].map((url) => shop.post(url, shop.nobody, {})))

    expect(read.map((answer) => answer.statusCode)).toEqual([401, 401, 401, 401])
    expect(written.map((answer) => answer.statusCode)).toEqual([401, 401, 401, 401, 401])
  })

  it('asks for scope write to place and to move an order, and for read to look', async () => {
    const reader = await readOnlyClient(shop.souk, shop.customer)
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const written = await Promise.all(['/api/orders/', ...urls(id)].map((url) => reader.post(url, {})))
    const read = await Promise.all(['/api/orders/', `/api/orders/${id}/`, '/api/sales/'].map((url) => reader.get(url)))

    expect(written.map((answer) => answer.statusCode)).toEqual([403, 403, 403, 403, 403])
    expect(read.map((answer) => answer.statusCode)).toEqual([200, 200, 200])
  })

  it('lets the customer confirm and cancel, and only staff accept and ship', async () => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })
    const statusesOf = async (user: Shop['staff']) =>
      (await Promise.all(urls(id).map((url) => shop.post(url, user, {})))).map((answer) => answer.statusCode)

    expect(await statusesOf(shop.stranger)).toEqual([403, 403, 403, 403])
    expect(await statusesOf(shop.seller)).toEqual([403, 403, 403, 403])
    expect(await statusesOf(shop.staff)).toEqual([403, 403, 400, 400])
    expect((await shop.post(`/api/orders/${id}/accept/`, shop.customer)).statusCode).toBe(403)
    expect((await shop.post(`/api/orders/${id}/ship/`, shop.customer)).statusCode).toBe(403)
  })

  it('answers 404 for an order that does not exist, whatever the body', async () => {
    const unknown = await Promise.all(urls(NOTHING).map((url) => shop.post(url, shop.staff, {})))
    const malformed = await Promise.all(urls('nothing').map((url) => shop.post(url, shop.staff, {})))

    expect(unknown.map((answer) => answer.statusCode)).toEqual([404, 404, 404, 404])
    expect(malformed.map((answer) => answer.statusCode)).toEqual([404, 404, 404, 404])
  })

  it.each(['PUT', 'PATCH', 'DELETE'] as const)('answers %s on an order with 405', async (method) => {
    const { id } = await shop.place({ id: await shop.offer({ default: 1 }), quantity: 1 })

    const response = await shop.souk.inject({
      method,
      url: `/api/orders/${id}/`,
      headers: shop.customer.headers,
      payload: {},
    })

    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe('GET, HEAD, OPTIONS')
  })
})

describe('sales', () => {
  it('show each seller the own lines only', async () => {
    const other = await shop.souk.signUp()
    const [mine, theirs] = [
      await shop.offer({ default: 5 }),
      await shop.offer({ default: 5 }, { price: 70, by: other }),
    ]
    const order = await shop.place({ id: theirs, quantity: 1 }, { id: mine, quantity: 2 })
    await shop.post(`/api/orders/${order.id}/confirm/`, shop.customer, HELD)

    const sale = await shop.get(`/api/sales/${order.id}/`, shop.seller)
    const otherSale = await shop.get(`/api/sales/${order.id}/`, other)
    const listed = (await shop.get('/api/sales/', other)).json<Page<Order>>()

    expect(sale.json()).toEqual({
      order_id: order.id,
      state: 'CONFIRMED',
      order_line_items: [{ product_id: mine, variant: 'default', title: 'Shirt', quantity: 2, unit_price: 250 }],
      subtotal: 500,
      customer: { id: shop.customer.userId, username: shop.customer.username },
      created: order.created,
      updated: expect.any(String) as string,
    })
    expect(otherSale.json()).toMatchObject({ subtotal: 70, order_line_items: [{ product_id: theirs }] })
    expect(listed).toEqual({
      metadata: { page_size: 20, offset_date: order.created, has_next: false },
      data: [otherSale.json()],
    })
  })

  it('are paged, newest first', async () => {
    const other = await shop.souk.signUp()
    const id = await shop.offer({ default: 9 }, { by: other })
    const orders = [
      await shop.place({ id, quantity: 1 }),
      await shop.place({ id, quantity: 1 }),
      await shop.place({ id, quantity: 1 }),
    ]

    const first = (await shop.get('/api/sales/?page_size=2', other)).json<Page<{ order_id: string }>>()
    const second = (await shop.get(`/api/sales/?page_size=2&offset=${first.metadata.offset_date}`, other)).json<
      typeof first
    >()

    expect(first.data.map((sale) => sale.order_id)).toEqual([orders[2]!.id, orders[1]!.id])
    expect(first.metadata.has_next).toBe(true)
    expect(second.data.map((sale) => sale.order_id)).toEqual([orders[0]!.id])
    expect(second.metadata.has_next).toBe(false)
    expect((await shop.get('/api/sales/?offset=soon', other)).statusCode).toBe(400)
  })

  it("are nobody else's business", async () => {
    const order = await shop.place({ id: await shop.offer({ default: 5 }), quantity: 2 })

    const answers = await Promise.all(
      [shop.customer, shop.stranger, shop.staff].map((user) => shop.get(`/api/sales/${order.id}/`, user)),
    )
    const unknown = await shop.get(`/api/sales/${NOTHING}/`, shop.seller)
    const malformed = await shop.get('/api/sales/17/', shop.seller)

    expect([...answers, unknown, malformed].map((answer) => answer.statusCode)).toEqual([404, 404, 404, 404, 404])
  })
})
