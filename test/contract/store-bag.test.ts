import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { clientOf, NOTHING, OAUTH_ENV, readOnlyClient, sell, type StoreClient } from './store-client.ts'

interface Shopper {
  user: TestUser
  as: StoreClient
  id: string
}

interface Item {
  id: string
  product_id: string
  variant: string
  quantity: number
  title: string
  unit_price: number
  subtotal: number
  available: number
  purchasable: boolean
}

interface Bag {
  id: string
  state: string
  items: Item[]
  total: number
  created: string
  updated: string
}

const MISSING = 'requested products and/or stock variants that do not exist'

let souk: TestApp
let seller: Shopper
let anonymous: StoreClient

beforeAll(async () => {
  souk = await startTestApp({ env: OAUTH_ENV, poolSize: 20 })
  seller = await join()
  anonymous = clientOf(souk, {})
})
afterAll(() => souk.close())

async function join(): Promise<Shopper> {
  const user = await souk.signUp()
  return { user, as: clientOf(souk, user.headers), id: user.userId }
}

const bagOf = async ({ as }: Shopper): Promise<Bag> => (await as.get('/api/bag/')).json<Bag>()
const add = ({ as }: Shopper, product_id: string, line: object = {}) =>
  as.post('/api/bag/items/', { product_id, ...line })
const checkOut = ({ as }: Shopper) => as.post('/api/bag/checkout/')
const leave = ({ as, id }: Shopper) => as.delete(`/api/user/${id}/`)
const linesOf = ({ items }: Bag) => items.map(({ product_id, variant, quantity }) => [product_id, variant, quantity])
const bagRows = (ownerId: string) =>
  souk.db.rows<{ id: string; state: string; deleted: string | null }>(
    sql`SELECT id, state, deleted FROM bags WHERE owner_id = ${ownerId} ORDER BY created`,
  )
const bagChanges = (ownerId: string) =>
  souk.db.rows(sql`SELECT topic, actor, audience, data FROM outbox
    WHERE topic LIKE 'orders.bag.%' AND ${`user:${ownerId}`} = ANY(audience) ORDER BY seq`)

describe('GET /api/bag/', () => {
  it('makes an empty bag on first use and shows the same one again', async () => {
    const shopper = await join()

    const first = await shopper.as.get('/api/bag/')
    const again = await shopper.as.get('/api/bag')

    expect(first.statusCode).toBe(200)
    expect(first.json()).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      state: 'OPEN',
      items: [],
      total: 0,
      created: expect.stringMatching(/\.\d{6}Z$/),
      updated: expect.stringMatching(/\.\d{6}Z$/),
    })
    expect(again.json()).toEqual(first.json())
  })

  it('makes one bag, however many devices look at once', async () => {
    const shopper = await join()

    const bags = await Promise.all(Array.from({ length: 24 }, () => bagOf(shopper)))

    expect(new Set(bags.map(({ id }) => id)).size).toBe(1)
    expect(await bagRows(shopper.id)).toHaveLength(1)
    expect(await bagChanges(shopper.id)).toHaveLength(1)
  })

  it('needs no more than scope read, also the first time', async () => {
    const shopper = await join()
    const reader = await readOnlyClient(souk, shopper.user)

    const response = await reader.get('/api/bag/')

    expect(response.statusCode).toBe(200)
    expect((await bagOf(shopper)).id).toBe(response.json<Bag>().id)
  })
})

describe('POST /api/bag/items/', () => {
  it('adds one default unit where nothing else is said, and shows what it costs now', async () => {
    const shopper = await join()
    const product = await sell(seller.as, { title: 'Mug', price: 250, stock: { default: 7 } })

    const response = await add(shopper, product.toUpperCase())

    expect(response.statusCode).toBe(201)
    expect(response.json<Bag>()).toMatchObject({
      items: [
        {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          product_id: product,
          variant: 'default',
          quantity: 1,
          title: 'Mug',
          unit_price: 250,
          subtotal: 250,
          available: 7,
          purchasable: true,
        },
      ],
      total: 250,
    })
    expect(await bagOf(shopper)).toEqual(response.json())
  })

  it('adds to a line that is there and keeps the order of first adding', async () => {
    const shopper = await join()
    const shirt = await sell(seller.as, { stock: { S: 5, M: 5 } })
    const mug = await sell(seller.as)

    await add(shopper, shirt, { variant: 'M', quantity: 2 })
    await add(shopper, mug)
    await add(shopper, shirt, { variant: 'S' })
    const bag = (await add(shopper, shirt, { variant: 'M', quantity: 3 })).json<Bag>()

    expect(linesOf(bag)).toEqual([
      [shirt, 'M', 5],
      [mug, 'default', 1],
      [shirt, 'S', 1],
    ])
    expect(bag.total).toBe(700)
  })

  it('loses nothing of what two devices add at the same time', async () => {
    const shopper = await join()
    const product = await sell(seller.as, { stock: { default: 1_000 } })

    const responses = await Promise.all(
      Array.from({ length: 64 }, (_, n) => add(shopper, product, { quantity: n + 1 })),
    )

    expect(responses.filter(({ statusCode }) => statusCode !== 201)).toEqual([])
    expect(linesOf(await bagOf(shopper))).toEqual([[product, 'default', 2_080]])
  })

  it('answers 400 and keeps the bag as it was where there is no such thing', async () => {
    const shopper = await join()
    const shirt = await sell(seller.as, { stock: { S: 5 } })
    const [draft, deleted] = [await sell(seller.as), await sell(seller.as)]
    await seller.as.post(`/api/products/${draft}/withdraw/`)
    await seller.as.delete(`/api/products/${deleted}/`)
    await add(shopper, shirt, { variant: 'S' })
    const before = await bagOf(shopper)

    const responses = [
      await add(shopper, NOTHING),
      await add(shopper, draft),
      await add(shopper, deleted),
      await add(shopper, shirt, { variant: 'XL' }),
      await add(shopper, shirt),
    ]

    expect(responses.map((response) => [response.statusCode, response.json().error, response.json().missing])).toEqual([
      [400, MISSING, [[NOTHING, 'default']]],
      [400, MISSING, [[draft, 'default']]],
      [400, MISSING, [[deleted, 'default']]],
      [400, MISSING, [[shirt, 'XL']]],
      [400, MISSING, [[shirt, 'default']]],
    ])
    expect(await bagOf(shopper)).toEqual(before)
  })

  it.each([
    ['nothing', {}, 'product_id'],
    ['a product that is no id', { product_id: 'mug' }, 'product_id'],
    ['a number as product', { product_id: 5 }, 'product_id'],
    ['null as product', { product_id: null }, 'product_id'],
    ['no units', { product_id: NOTHING, quantity: 0 }, 'quantity'],
    ['less than no units', { product_id: NOTHING, quantity: -1 }, 'quantity'],
    ['too many units', { product_id: NOTHING, quantity: 1_001 }, 'quantity'],
    ['a huge number of units', { product_id: NOTHING, quantity: 1e300 }, 'quantity'],
    ['half a unit', { product_id: NOTHING, quantity: 1.5 }, 'quantity'],
    ['text as quantity', { product_id: NOTHING, quantity: '2' }, 'quantity'],
    ['null as quantity', { product_id: NOTHING, quantity: null }, 'quantity'],
    ['an empty variant', { product_id: NOTHING, variant: '' }, 'variant'],
    ['a number as variant', { product_id: NOTHING, variant: 1 }, 'variant'],
    ['a long variant', { product_id: NOTHING, variant: 'x'.repeat(51) }, 'variant'],
  ])('answers 400 to %s', async (_name, payload, field) => {
    const response = await seller.as.post('/api/bag/items/', payload)

    expect([response.statusCode, Object.keys(response.json().errors)]).toEqual([400, [field]])
  })

  it('answers 400 to the hundred and first variant and to more units of one than a bag holds', async () => {
    const shopper = await join()
    const stock = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`v${n}`, 1]))
    const wide = await sell(seller.as, { stock })
    const other = await sell(seller.as)
    const items = Object.keys(stock).map((variant) => ({ product_id: wide, variant }))
    await shopper.as.put('/api/bag/', { items })

    const tooWide = await add(shopper, other)
    await shopper.as.put('/api/bag/', {
      items: Array.from({ length: 100 }, () => ({ product_id: other, quantity: 1_000 })),
    })
    const tooDeep = await add(shopper, other)

    expect([tooWide.statusCode, Object.keys(tooWide.json().errors)]).toEqual([400, ['product_id']])
    expect([tooDeep.statusCode, Object.keys(tooDeep.json().errors)]).toEqual([400, ['quantity']])
    expect(linesOf(await bagOf(shopper))).toEqual([[other, 'default', 100_000]])
  })
})

describe('PUT /api/bag/', () => {
  it('leaves exactly what it names, equal lines added up, in the given order', async () => {
    const shopper = await join()
    const shirt = await sell(seller.as, { stock: { S: 5, M: 5 } })
    const mug = await sell(seller.as)
    const gone = await sell(seller.as)
    await add(shopper, mug)
    await add(shopper, gone)
    const [kept] = (await bagOf(shopper)).items

    const response = await shopper.as.put('/api/bag/', {
      items: [
        { product_id: shirt, variant: 'M', quantity: 1 },
        { product_id: mug, quantity: 2 },
        { product_id: shirt.toUpperCase(), variant: 'M', quantity: 3 },
      ],
    })

    expect(response.statusCode).toBe(200)
    const bag = response.json<Bag>()
    expect(linesOf(bag)).toEqual([
      [shirt, 'M', 4],
      [mug, 'default', 2],
    ])
    expect(bag.items[1]!.id).toBe(kept!.id)
    expect(await bagOf(shopper)).toEqual(bag)
  })

  it('takes an empty list', async () => {
    const shopper = await join()
    await add(shopper, await sell(seller.as))

    const response = await shopper.as.put('/api/bag', { items: [] })

    expect([response.statusCode, response.json<Bag>().items]).toEqual([200, []])
  })

  it('answers 400 with everything that is missing and keeps the bag as it was', async () => {
    const shopper = await join()
    const mug = await sell(seller.as)
    await add(shopper, mug)
    const before = await bagOf(shopper)

    const response = await shopper.as.put('/api/bag/', {
      items: [
        { product_id: mug, variant: 'blue' },
        { product_id: mug, quantity: 2 },
        { product_id: NOTHING },
        { product_id: NOTHING },
      ],
    })

    expect([response.statusCode, response.json().error]).toEqual([400, MISSING])
    expect(response.json().missing).toEqual([
      [mug, 'blue'],
      [NOTHING, 'default'],
    ])
    expect(await bagOf(shopper)).toEqual(before)
  })

  it.each([
    ['nothing', {}, 'items'],
    ['null', { items: null }, 'items'],
    ['one object', { items: { product_id: NOTHING } }, 'items'],
    ['more than 100 lines', { items: Array.from({ length: 101 }, () => ({ product_id: NOTHING })) }, 'items'],
    ['a line that is none', { items: [5] }, 'items.0'],
    ['a line without a product', { items: [{ product_id: NOTHING }, {}] }, 'items.1.product_id'],
    ['a line with no units', { items: [{ product_id: NOTHING, quantity: 0 }] }, 'items.0.quantity'],
    ['a line with an empty variant', { items: [{ product_id: NOTHING, variant: '' }] }, 'items.0.variant'],
  ])('answers 400 to %s', async (_name, payload, field) => {
    const response = await seller.as.put('/api/bag/', payload)

    expect([response.statusCode, Object.keys(response.json().errors)]).toEqual([400, [field]])
  })

  it('answers 400 to a list and to no JSON', async () => {
    const list = await seller.as.put('/api/bag/', [])
    const text = await souk.inject({
      method: 'PUT',
      url: '/api/bag/',
      headers: { ...seller.user.headers, 'content-type': 'application/json' },
      payload: '{"items"',
    })

    expect([list.statusCode, text.statusCode]).toEqual([400, 400])
  })

  it('never mixes two lists that come at the same time', async () => {
    const shopper = await join()
    const stock = { a: 1, b: 1, c: 1, d: 1 }
    const product = await sell(seller.as, { stock })
    const lists = [['a', 'b', 'c'], ['c', 'b', 'd'], ['d', 'a'], []]
    const put = (variants: string[]) =>
      shopper.as.put('/api/bag/', { items: variants.map((variant) => ({ product_id: product, variant })) })

    const responses = await Promise.all([...lists, ...lists, ...lists, ...lists].map(put))

    expect(responses.filter(({ statusCode }) => statusCode !== 200)).toEqual([])
    expect(lists).toContainEqual((await bagOf(shopper)).items.map(({ variant }) => variant))
  })
})

describe('/api/bag/items/{item_id}/', () => {
  it.each(['put', 'patch'] as const)('sets the quantity by %s', async (method) => {
    const shopper = await join()
    const product = await sell(seller.as, { price: 300 })
    const { items } = (await add(shopper, product, { quantity: 5 })).json<Bag>()

    const response = await shopper.as[method](`/api/bag/items/${items[0]!.id}/`, { quantity: 2 })

    expect(response.statusCode).toBe(200)
    expect(response.json<Bag>()).toMatchObject({
      items: [{ id: items[0]!.id, quantity: 2, subtotal: 600 }],
      total: 600,
    })
  })

  it('knows an item by its id in any spelling', async () => {
    const shopper = await join()
    const { items } = (await add(shopper, await sell(seller.as))).json<Bag>()
    const path = `/api/bag/items/${items[0]!.id.toUpperCase()}/`

    const put = await shopper.as.put(path, { quantity: 2 })
    const deleted = await shopper.as.delete(path)

    expect([put.statusCode, put.json<Bag>().items[0]!.quantity]).toEqual([200, 2])
    expect(deleted.statusCode).toBe(204)
  })

  it('takes a line out', async () => {
    const shopper = await join()
    const [mug, shirt] = [await sell(seller.as), await sell(seller.as)]
    await add(shopper, mug)
    const { items } = (await add(shopper, shirt)).json<Bag>()

    const response = await shopper.as.delete(`/api/bag/items/${items[0]!.id}/`)

    expect([response.statusCode, response.body]).toEqual([204, ''])
    expect(linesOf(await bagOf(shopper))).toEqual([[shirt, 'default', 1]])
    expect((await shopper.as.delete(`/api/bag/items/${items[0]!.id}/`)).statusCode).toBe(404)
  })

  it.each([NOTHING, '17', '%00', 'x'.repeat(1_500)])('answers 404 to %s, with a bag and without', async (id) => {
    const shopper = await join()
    const statuses = async () => [
      (await shopper.as.put(`/api/bag/items/${id}/`, { quantity: 1 })).statusCode,
      (await shopper.as.patch(`/api/bag/items/${id}/`, { quantity: 1 })).statusCode,
      (await shopper.as.delete(`/api/bag/items/${id}/`)).statusCode,
    ]

    expect(await statuses()).toEqual([404, 404, 404])
    await bagOf(shopper)
    expect(await statuses()).toEqual([404, 404, 404])
  })

  it('answers 404 to an item of somebody else and of a bag that has ended', async () => {
    const [shopper, thief] = [await join(), await join()]
    const product = await sell(seller.as)
    const { items } = (await add(shopper, product)).json<Bag>()
    await bagOf(thief)
    const url = `/api/bag/items/${items[0]!.id}/`

    const stolen = [
      await thief.as.put(url, { quantity: 9 }),
      await thief.as.patch(url, { quantity: 9 }),
      await thief.as.delete(url),
    ]

    expect(stolen.map(({ statusCode }) => statusCode)).toEqual([404, 404, 404])
    expect(linesOf(await bagOf(shopper))).toEqual([[product, 'default', 1]])
    await shopper.as.delete('/api/bag/')
    await bagOf(shopper)
    expect((await shopper.as.put(url, { quantity: 9 })).statusCode).toBe(404)
  })

  it.each([{}, { quantity: 0 }, { quantity: 1_001 }, { quantity: '2' }, { quantity: null }, { quantity: 1e300 }])(
    'answers 400 to %j',
    async (payload) => {
      const shopper = await join()
      const { items } = (await add(shopper, await sell(seller.as))).json<Bag>()

      const put = await shopper.as.put(`/api/bag/items/${items[0]!.id}/`, payload)
      const patch = await shopper.as.patch(`/api/bag/items/${items[0]!.id}/`, payload)

      expect([put.statusCode, patch.statusCode]).toEqual([400, 400])
      expect(put.json().errors).toHaveProperty('quantity')
    },
  )
})

describe('what can be bought', () => {
  it('follows the catalogue: price, units, withdrawal and deletion', async () => {
    const shopper = await join()
    const [dearer, scarce, withdrawn, deleted, reduced] = [
      await sell(seller.as, { price: 100 }),
      await sell(seller.as, { price: 10_000, stock: { default: 2 } }),
      await sell(seller.as, { title: 'Withdrawn' }),
      await sell(seller.as, { title: 'Deleted' }),
      await sell(seller.as, { stock: { S: 1, M: 1 } }),
    ]
    for (const product of [dearer, withdrawn, deleted]) await add(shopper, product, { quantity: 2 })
    await add(shopper, scarce, { quantity: 3 })
    await add(shopper, reduced, { variant: 'S' })

    await seller.as.patch(`/api/products/${dearer}/`, { price: 150 })
    await seller.as.post(`/api/products/${withdrawn}/withdraw/`)
    await seller.as.delete(`/api/products/${deleted}/`)
    await seller.as.patch(`/api/products/${reduced}/`, { stock: { M: 1 } })
    const bag = await bagOf(shopper)

    expect(bag.items).toMatchObject([
      { product_id: dearer, unit_price: 150, subtotal: 300, available: 10, purchasable: true },
      { product_id: withdrawn, title: 'Withdrawn', available: 0, purchasable: false },
      { product_id: deleted, title: 'Deleted', available: 0, purchasable: false },
      { product_id: scarce, subtotal: 30_000, available: 2, purchasable: false },
      { product_id: reduced, variant: 'S', available: 0, purchasable: false },
    ])
    expect(bag.total).toBe(300)
    const changed = await shopper.as.patch(`/api/bag/items/${bag.items[3]!.id}/`, { quantity: 2 })
    expect(changed.json<Bag>().total).toBe(20_300)
  })
})

describe('DELETE /api/bag/', () => {
  it('answers 204; the next look finds another, empty bag', async () => {
    const shopper = await join()
    await add(shopper, await sell(seller.as))
    const before = await bagOf(shopper)

    const response = await shopper.as.delete('/api/bag/')

    expect([response.statusCode, response.body]).toEqual([204, ''])
    const after = await bagOf(shopper)
    expect(after).toMatchObject({ state: 'OPEN', items: [], total: 0 })
    expect(after.id).not.toBe(before.id)
    expect(await bagRows(shopper.id)).toEqual([
      { id: before.id, state: 'DISCARDED', deleted: expect.stringMatching(/Z$/) },
      { id: after.id, state: 'OPEN', deleted: null },
    ])
  })

  it('does the same with an empty bag, and with none', async () => {
    const shopper = await join()
    expect((await shopper.as.delete('/api/bag/')).statusCode).toBe(204)
    const before = await bagOf(shopper)

    expect((await shopper.as.delete('/api/bag')).statusCode).toBe(204)

    expect((await bagOf(shopper)).id).not.toBe(before.id)
  })
})

describe('POST /api/bag/checkout/', () => {
  it('makes an order of the bag and opens a new one', async () => {
    const shopper = await join()
    const shirt = await sell(seller.as, { price: 500, stock: { S: 3, M: 3 } })
    const mug = await sell(seller.as, { price: 70 })
    await add(shopper, shirt, { variant: 'M', quantity: 2 })
    await add(shopper, mug)
    const bag = await bagOf(shopper)

    const response = await checkOut(shopper)

    expect(response.statusCode).toBe(201)
    const order = response.json<{ id: string }>()
    expect(response.headers['location']).toBe(`/api/orders/${order.id}/`)
    expect(order).toMatchObject({
      state: 'PENDING_CONFIRMATION',
      customer_id: shopper.id,
      order_line_items: [
        { product_id: shirt, variant: 'M', quantity: 2, unit_price: 500 },
        { product_id: mug, variant: 'default', quantity: 1, unit_price: 70 },
      ],
      total: 1_070,
      payment: null,
    })
    expect((await shopper.as.get(`/api/orders/${order.id}/`)).json()).toEqual(order)
    expect((await shopper.as.get(`/api/products/${shirt}/`)).json().stock).toEqual({ S: 3, M: 1 })
    const next = await bagOf(shopper)
    expect(next).toMatchObject({ state: 'OPEN', items: [] })
    expect(await bagRows(shopper.id)).toEqual([
      { id: bag.id, state: 'CHECKED_OUT', deleted: null },
      { id: next.id, state: 'OPEN', deleted: null },
    ])
    const changes = await bagChanges(shopper.id)
    expect(changes.at(-2)).toEqual({
      topic: 'orders.bag.checked-out',
      actor: shopper.id,
      audience: [`user:${shopper.id}`],
      data: { bag_id: bag.id, order_id: order.id },
    })
  })

  it('answers 400 to an empty bag, and to none', async () => {
    const shopper = await join()
    const none = await checkOut(shopper)
    const { id } = await bagOf(shopper)

    const empty = await checkOut(shopper)

    expect([none.statusCode, empty.statusCode]).toEqual([400, 400])
    expect(await bagOf(shopper)).toMatchObject({ id, state: 'OPEN' })
  })

  it('leaves the bag and the stock as they were when one line cannot be had', async () => {
    const shopper = await join()
    const [mug, scarce, withdrawn] = [
      await sell(seller.as),
      await sell(seller.as, { stock: { default: 2 } }),
      await sell(seller.as),
    ]
    await add(shopper, mug, { quantity: 4 })
    const { items } = (await add(shopper, scarce, { quantity: 3 })).json<Bag>()
    const before = await bagOf(shopper)

    const short = await checkOut(shopper)
    const unchanged = await bagOf(shopper)
    await shopper.as.delete(`/api/bag/items/${items[1]!.id}/`)
    await add(shopper, withdrawn)
    await seller.as.post(`/api/products/${withdrawn}/withdraw/`)
    const missing = await checkOut(shopper)

    expect([short.statusCode, short.json().error]).toEqual([
      400,
      `available stock for product ${scarce} is less than desired amount`,
    ])
    expect(unchanged).toEqual(before)
    expect([missing.statusCode, missing.json().error, missing.json().missing]).toEqual([
      400,
      MISSING,
      [[withdrawn, 'default']],
    ])
    expect((await bagOf(shopper)).items).toHaveLength(2)
    expect((await shopper.as.get(`/api/products/${mug}/`)).json().stock).toEqual({ default: 10 })
    expect((await shopper.as.get('/api/orders/')).json()).toEqual([])
  })

  it('makes one order of two requests at once', async () => {
    const shopper = await join()
    const product = await sell(seller.as, { stock: { default: 100 } })
    await add(shopper, product, { quantity: 5 })

    const responses = await Promise.all(Array.from({ length: 12 }, () => checkOut(shopper)))

    expect(responses.filter(({ statusCode }) => statusCode === 201)).toHaveLength(1)
    expect(responses.filter(({ statusCode }) => statusCode === 400)).toHaveLength(11)
    expect((await shopper.as.get('/api/orders/')).json()).toHaveLength(1)
    expect((await shopper.as.get(`/api/products/${product}/`)).json().stock).toEqual({ default: 95 })
  })

  it('puts what comes in meanwhile into the order or into the next bag, never into none', async () => {
    const shopper = await join()
    const product = await sell(seller.as, { stock: { default: 1_000 } })
    await add(shopper, product)

    const responses = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 8 === 4 ? checkOut(shopper) : add(shopper, product))),
    )

    const orders = (await shopper.as.get('/api/orders/')).json<{ order_line_items: { quantity: number }[] }[]>()
    const ordered = orders.flatMap((order) => order.order_line_items).reduce((sum, { quantity }) => sum + quantity, 0)
    const left = (await bagOf(shopper)).items.reduce((sum, { quantity }) => sum + quantity, 0)
    expect(responses.filter(({ statusCode }) => statusCode >= 500)).toEqual([])
    expect(ordered + left).toBe(36)
  })

  it('sells the last unit to one of two bags that hold the same things in another order', async () => {
    const products = [
      await sell(seller.as, { stock: { default: 1 } }),
      await sell(seller.as, { stock: { default: 1 } }),
    ]
    const shoppers = await Promise.all(Array.from({ length: 6 }, () => join()))
    for (const [n, shopper] of shoppers.entries()) {
      for (const product of n % 2 === 0 ? products : products.toReversed()) await add(shopper, product)
    }

    const responses = await Promise.all(shoppers.map(checkOut))

    expect(responses.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([
      201, 400, 400, 400, 400, 400,
    ])
  })
})

describe('the rights', () => {
  const requests: [method: keyof StoreClient, url: string, payload?: object][] = [
    ['get', '/api/bag/'],
    ['put', '/api/bag/', { items: [] }],
    ['delete', '/api/bag/'],
    ['post', '/api/bag/items/', { product_id: NOTHING }],
    ['put', `/api/bag/items/${NOTHING}/`, { quantity: 1 }],
    ['patch', `/api/bag/items/${NOTHING}/`, { quantity: 1 }],
    ['delete', `/api/bag/items/${NOTHING}/`],
    ['post', '/api/bag/checkout/'],
  ]

  it.each(requests)('answer 401 to nobody: %s %s', async (method, url, payload) => {
    expect((await anonymous[method](url, payload)).statusCode).toBe(401)
  })

  it.each(requests.slice(1))('answer 403 to scope read: %s %s', async (method, url, payload) => {
    const reader = await readOnlyClient(souk, seller.user)

    expect((await reader[method](url, payload)).statusCode).toBe(403)
  })

  it('answer 405 where a path has no such method', async () => {
    const response = await seller.as.post('/api/bag/')

    expect([response.statusCode, response.headers['allow']]).toEqual([405, 'DELETE, GET, HEAD, OPTIONS, PUT'])
  })
})

describe('deleting a user', () => {
  it('discards the bag in the same transaction', async () => {
    const shopper = await join()
    await add(shopper, await sell(seller.as))
    const { id } = await bagOf(shopper)

    await leave(shopper)

    expect(await bagRows(shopper.id)).toEqual([{ id, state: 'DISCARDED', deleted: expect.any(String) }])
    expect((await bagChanges(shopper.id)).at(-1)).toEqual({
      topic: 'orders.bag.discarded',
      actor: shopper.id,
      audience: [`user:${shopper.id}`],
      data: { bag_id: id },
    })
  })

  it('leaves no open bag behind, whatever the user does at that moment', async () => {
    const shoppers = await Promise.all(Array.from({ length: 6 }, () => join()))
    const product = await sell(seller.as, { stock: { default: 100 } })

    const responses = await Promise.all(
      shoppers.flatMap((shopper) => [bagOf(shopper), add(shopper, product), leave(shopper), add(shopper, product)]),
    )

    const ids = shoppers.map(({ id }) => id)
    const open = await souk.db.rows(sql`SELECT FROM bags WHERE owner_id = ANY(${ids}) AND state = 'OPEN'`)
    expect(open).toEqual([])
    expect(responses.filter((response) => 'statusCode' in response && response.statusCode >= 500)).toEqual([])
  })
})
