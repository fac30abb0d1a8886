import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'

const VARIANTS = Array.from({ length: 100 }, (_, n) => `v${n}`)

let souk: TestApp
let user: TestUser
let productId: string
let statements: string[] = []

beforeAll(async () => {
  // The api role alone: services of the worker would send statements of their own.
  souk = await startTestApp({ role: 'api', onStatement: (text) => statements.push(text) })
  user = await souk.signUp()
  const stock = Object.fromEntries(VARIANTS.map((variant) => [variant, 1_000]))
  const product = await send('POST', '/api/products/', { title: 'Mug', description: 'A mug.', price: 100, stock })
  productId = product.json<{ id: string }>().id
})
afterAll(() => souk.close())

const isOurs = (text: string) => /\b(bags|bag_items|orders|order_lines|products|stock_levels|outbox)\b/.test(text)

function send(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: object) {
  return souk.inject({ method, url, headers: user.headers, ...(payload === undefined ? {} : { payload }) })
}

const itemsOf = (count: number) => VARIANTS.slice(0, count).map((variant) => ({ product_id: productId, variant }))

/** Beside authentication, BEGIN and COMMIT. */
async function cost(...request: Parameters<typeof send>): Promise<number> {
  statements = []
  const { statusCode } = await send(...request)
  expect(statusCode).toBeLessThan(300)
  return statements.filter(isOurs).length
}

beforeEach(async () => {
  await send('DELETE', '/api/bag/')
})

it.each([1, 100])('sends the same few statements for a bag of %i lines', async (lines) => {
  const costs = { replace: await cost('PUT', '/api/bag/', { items: itemsOf(lines) }) }
  const bag = (await send('GET', '/api/bag/')).json<{ items: { id: string }[] }>()
  const item = `/api/bag/items/${bag.items[0]!.id}/`

  expect({
    ...costs,
    read: await cost('GET', '/api/bag/'),
    add: await cost('POST', '/api/bag/items/', { product_id: productId, variant: 'v0' }),
    change: await cost('PATCH', item, { quantity: 3 }),
    checkOut: await cost('POST', '/api/bag/checkout/'),
  }).toEqual({ replace: 3, read: 1, add: 3, change: 3, checkOut: 5 })
})

it('sends few statements for what takes things out', async () => {
  const added = await send('POST', '/api/bag/items/', { product_id: productId, variant: 'v0' })
  const item = added.json<{ items: { id: string }[] }>().items[0]!

  expect({
    remove: await cost('DELETE', `/api/bag/items/${item.id}/`),
    discard: await cost('DELETE', '/api/bag/'),
  }).toEqual({ remove: 3, discard: 2 })
})
