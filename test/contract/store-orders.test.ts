import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { NOTHING } from './store-client.ts'
import { openShop, type Order } from './store-shop.ts'

let shop: Awaited<ReturnType<typeof openShop>>
beforeAll(async () => {
  shop = await openShop()
})
afterAll(() => shop.souk.close())

describe('POST /api/orders/', () => {
  it('answers the whole order and takes the units', async () => {
    const shirt = await shop.offer({ small: 3, large: 4 })
    const mug = await shop.offer({ default: 5 }, { price: 100, by: shop.customer })

    const response = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id: shirt, variant: 'large', quantity: 2 },
        { id: mug, quantity: 1 },
        { id: shirt, variant: 'small', quantity: 3 },
      ],
    })

    const order = response.json<Order>()
    expect(response.statusCode).toBe(201)
    expect(response.headers.location).toBe(`/api/orders/${order.id}/`)
    expect(order).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      state: 'PENDING_CONFIRMATION',
      order_line_items: [
        { product_id: shirt, variant: 'large', quantity: 2, unit_price: 250 },
        { product_id: mug, variant: 'default', quantity: 1, unit_price: 100 },
        { product_id: shirt, variant: 'small', quantity: 3, unit_price: 250 },
      ],
      total: 1350,
      customer_id: shop.customer.userId,
      confirm_before: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string,
      payment: null,
      created: order.updated,
      updated: order.created,
    })
    expect(Date.parse(order.confirm_before) - Date.parse(order.created)).toBe(60_000)
    expect(await shop.stockOf(shirt)).toEqual({ small: 0, large: 2 })
    expect(await shop.stockOf(mug)).toEqual({ default: 4 })
  })

  it('names every product and variant that does not exist, and takes nothing', async () => {
    const shirt = await shop.offer({ small: 3 })
    const draft = await shop.offer({ default: 3 })
    await shop.post(`/api/products/${draft}/withdraw/`, shop.seller)
    const deleted = await shop.offer({ default: 3 })
    await shop.souk.inject({ method: 'DELETE', url: `/api/products/${deleted}/`, headers: shop.seller.headers })

    const response = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id: shirt, variant: 'small', quantity: 1 },
        { id: shirt, variant: 'huge', quantity: 1 },
        { id: NOTHING, quantity: 1 },
        { id: draft, quantity: 1 },
        { id: deleted, quantity: 1 },
      ],
    })

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({
      error: 'requested products and/or stock variants that do not exist',
      detail: 'requested products and/or stock variants that do not exist',
      missing: [
        [shirt, 'huge'],
        [NOTHING, 'default'],
        [draft, 'default'],
        [deleted, 'default'],
      ],
    })
    expect(await shop.stockOf(shirt)).toEqual({ small: 3 })
  })

  it('names the first product of which there are too few units, and takes nothing', async () => {
    const plenty = await shop.offer({ default: 9 })
    const few = await shop.offer({ default: 2 })
    const fewer = await shop.offer({ default: 1 })

    const response = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id: plenty, quantity: 9 },
        { id: fewer, quantity: 2 },
        { id: few, quantity: 3 },
      ],
    })

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({
      error: `available stock for product ${fewer} is less than desired amount`,
    })
    expect(await shop.stockOf(plenty)).toEqual({ default: 9 })
  })

  it('says that a product is missing before it says that there are too few of another', async () => {
    const few = await shop.offer({ default: 1 })

    const response = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id: few, quantity: 2 },
        { id: NOTHING, quantity: 1 },
      ],
    })

    expect(response.json()).toMatchObject({ missing: [[NOTHING, 'default']] })
  })

  it.each([[2_147_483_648], [9_007_199_254_740_992], [1e300]])(
    'takes a quantity of %d for more than is free',
    async (quantity) => {
      const id = await shop.offer({ default: 2_147_483_647 })

      const response = await shop.post('/api/orders/', shop.customer, { products: [{ id, quantity }] })

      expect(response.statusCode).toBe(400)
      expect(response.json()).toMatchObject({
        error: `available stock for product ${id} is less than desired amount`,
      })
    },
  )

  it('refuses a total that JSON numbers do not hold, and takes nothing', async () => {
    const id = await shop.offer({ a: 2_147_483_647, b: 2_147_483_647, c: 5 }, { price: 2_147_483_647 })

    const response = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id, variant: 'a', quantity: 2_147_483_647 },
        { id, variant: 'b', quantity: 2_147_483_647 },
      ],
    })

    expect(response.statusCode).toBe(400)
    expect(await shop.stockOf(id)).toEqual({ a: 2_147_483_647, b: 2_147_483_647, c: 5 })
  })

  it('knows a product by its id in capitals, and takes it for the same', async () => {
    const id = await shop.offer({ default: 5 })

    const once = await shop.post('/api/orders/', shop.customer, { products: [{ id: id.toUpperCase(), quantity: 1 }] })
    const twice = await shop.post('/api/orders/', shop.customer, {
      products: [
        { id, quantity: 1 },
        { id: id.toUpperCase(), quantity: 1 },
      ],
    })

    expect(once.json<Order>().order_line_items[0]).toMatchObject({ product_id: id })
    expect(twice.statusCode).toBe(400)
  })

  it.each([
    ['no body', undefined, 'products'],
    ['no products', {}, 'products'],
    ['null', { products: null }, 'products'],
    ['an object', { products: { id: NOTHING, quantity: 1 } }, 'products'],
    ['an empty list', { products: [] }, 'products'],
    [
      '101 entries',
      { products: Array.from({ length: 101 }, (_, n) => ({ id: NOTHING, variant: `${n}`, quantity: 1 })) },
      'products',
    ],
    ['no id', { products: [{ quantity: 1 }] }, 'products.0.id'],
    ['an id that is none', { products: [{ id: 'x', quantity: 1 }] }, 'products.0.id'],
    ['a number as id', { products: [{ id: 7, quantity: 1 }] }, 'products.0.id'],
    ['a number as variant', { products: [{ id: NOTHING, variant: 1, quantity: 1 }] }, 'products.0.variant'],
    ['null as variant', { products: [{ id: NOTHING, variant: null, quantity: 1 }] }, 'products.0.variant'],
    ['no quantity', { products: [{ id: NOTHING }] }, 'products.0.quantity'],
    ['a quantity of 0', { products: [{ id: NOTHING, quantity: 0 }] }, 'products.0.quantity'],
    ['a negative quantity', { products: [{ id: NOTHING, quantity: -1 }] }, 'products.0.quantity'],
    ['half a unit', { products: [{ id: NOTHING, quantity: 0.5 }] }, 'products.0.quantity'],
    ['text as quantity', { products: [{ id: NOTHING, quantity: '2' }] }, 'products.0.quantity'],
    [
      'the same product and variant twice',
      {
        products: [
          { id: NOTHING, quantity: 1 },
          { id: NOTHING, variant: 'default', quantity: 1 },
        ],
      },
      'products',
    ],
  ])('refuses %s', async (_what, payload, field) => {
    const response = await shop.post('/api/orders/', shop.customer, payload)

    expect(response.statusCode).toBe(400)
    expect(response.json<{ errors: object }>().errors).toHaveProperty([field])
  })

  it('takes a hundred lines', async () => {
    const stock = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`${'ü'.repeat(46)}${n}`, 1]))
    const id = await shop.offer(stock)

    const order = await shop.place(...Object.keys(stock).map((variant) => ({ id, variant, quantity: 1 })))

    expect(order.order_line_items.map((line) => line.variant)).toEqual(Object.keys(stock))
  })

  it('makes one order of a request that is repeated with its key', async () => {
    const id = await shop.offer({ default: 5 })
    const request = {
      method: 'POST',
      url: '/api/orders/',
      headers: { ...shop.customer.headers, 'idempotency-key': `order-${id}` },
      payload: { products: [{ id, quantity: 2 }] },
    } as const

    const first = await shop.souk.inject(request)
    const second = await shop.souk.inject(request)

    expect(second.body).toBe(first.body)
    expect(await shop.stockOf(id)).toEqual({ default: 3 })
  })
})
