import type { InjectOptions } from 'fastify'

import type { Budget, Budgets } from './budgets.ts'
import { call, type World } from './world.ts'

const PAYMENT = { payment: { method: 'card' } }

/** A list with as many rows as there are, at most a page of 100. */
function list(statements: number, urlOf: (world: World) => string, who: 'seller' | 'buyer' = 'seller'): Budget {
  return [statements, (world) => call('GET', urlOf(world), world[who])]
}

function tagBody({ unique }: World): object {
  return { name: unique(), description: 'Things.' }
}

function productBody({ size, tagIds }: World): object {
  const stock = Object.fromEntries(Array.from({ length: size }, (_, n) => [`variant ${n}`, 5]))
  return { title: 'Linen shirt', description: 'A light shirt.', price: 1_000, stock, tags: tagIds }
}

async function newProduct(world: World): Promise<string> {
  return String((await world.prepare(call('POST', '/api/products/', world.seller, productBody(world)))).id)
}

/** A change to a product that has as many variants and tags as the world is large. */
function ofNewProduct(statements: number, requestOf: (id: string, world: World) => InjectOptions): Budget {
  return [statements, async (world) => requestOf(await newProduct(world), world)]
}

/** A bag with a line of every product; returns the id of its last line. */
async function fillBag(world: World): Promise<string> {
  const bag = await world.prepare(call('PUT', '/api/bag/', world.buyer, bagBody(world)))
  return (bag.items as { id: string }[]).at(-1)!.id
}

function bagBody({ productIds }: World): object {
  return { items: productIds.map((id) => ({ product_id: id, variant: 'default', quantity: 1 })) }
}

function ofFullBag(statements: number, requestOf: (itemId: string, world: World) => InjectOptions): Budget {
  return [statements, async (world) => requestOf(await fillBag(world), world)]
}

async function confirmed(world: World): Promise<string> {
  const id = await world.order()
  await world.prepare(call('POST', `/api/orders/${id}/confirm/`, world.buyer, PAYMENT))
  return id
}

async function accepted(world: World): Promise<string> {
  const id = await confirmed(world)
  await world.prepare(call('POST', `/api/orders/${id}/accept/`, world.staff))
  return id
}

const tagBudgets: Budgets = {
  'GET /api/tags/': list(2, () => '/api/tags/?page_size=100'),
  'GET /api/tags/{id}/': list(2, ({ tagIds }) => `/api/tags/${tagIds[0]}/`),
  'POST /api/tags/': [3, (world) => call('POST', '/api/tags/', world.staff, tagBody(world))],
  'PUT /api/tags/{id}/': [7, (world) => call('PUT', `/api/tags/${world.tagIds[0]}/`, world.staff, tagBody(world))],
  'PATCH /api/tags/{id}/': [
    7,
    ({ tagIds, staff, unique }) => call('PATCH', `/api/tags/${tagIds[0]}/`, staff, { name: unique() }),
  ],
  'DELETE /api/tags/{id}/': [
    7,
    async (world) => {
      const { id } = await world.prepare(call('POST', '/api/tags/', world.staff, tagBody(world)))
      return call('DELETE', `/api/tags/${String(id)}/`, world.staff)
    },
  ],
}

const productBudgets: Budgets = {
  'GET /api/products/': list(2, () => '/api/products/?page_size=100'),
  'GET /api/products/ (a term that many have)': list(2, () => '/api/products/?page_size=100&search_term=linen'),
  'GET /api/products/ (a term that none has)': list(3, () => '/api/products/?search_term=no%20such%20words'),
  'GET /api/products/ (by relevance)': list(6, () => '/api/products/?sort=relevance&search_term=linne'),
  'GET /api/products/ (with facets)': list(4, () => '/api/products/?facets=true&search_term=linen'),
  'GET /api/products/ (of a tag)': list(3, ({ tagIds }) => `/api/products/?page_size=100&tag=${tagIds[0]}`),
  'GET /api/products/{id}/': list(2, ({ productIds }) => `/api/products/${productIds[0]}/`),
  'GET /api/users/{id}/products/': list(3, ({ seller }) => `/api/users/${seller.userId}/products/?page_size=100`),
  'POST /api/products/': [7, (world) => call('POST', '/api/products/', world.seller, productBody(world))],
  'PUT /api/products/{id}/': ofNewProduct(11, (id, world) =>
    call('PUT', `/api/products/${id}/`, world.seller, productBody(world)),
  ),
  'PATCH /api/products/{id}/': ofNewProduct(11, (id, world) =>
    call('PATCH', `/api/products/${id}/`, world.seller, { ...productBody(world), stock: { default: 1 } }),
  ),
  'POST /api/products/{id}/withdraw/': ofNewProduct(9, (id, { seller }) =>
    call('POST', `/api/products/${id}/withdraw/`, seller),
  ),
  'POST /api/products/{id}/publish/': [
    9,
    async (world) => {
      const id = await newProduct(world)
      await world.prepare(call('POST', `/api/products/${id}/withdraw/`, world.seller))
      return call('POST', `/api/products/${id}/publish/`, world.seller)
    },
  ],
  'DELETE /api/products/{id}/': ofNewProduct(8, (id, { seller }) => call('DELETE', `/api/products/${id}/`, seller)),
}

const bagBudgets: Budgets = {
  'GET /api/bag/': ofFullBag(2, (_, { buyer }) => call('GET', '/api/bag/', buyer)),
  'PUT /api/bag/': ofFullBag(4, (_, world) => call('PUT', '/api/bag/', world.buyer, bagBody(world))),
  'DELETE /api/bag/': ofFullBag(3, (_, { buyer }) => call('DELETE', '/api/bag/', buyer)),
  'POST /api/bag/items/': ofFullBag(4, (_, { buyer, productIds }) =>
    call('POST', '/api/bag/items/', buyer, { product_id: productIds[0], quantity: 1 }),
  ),
  'PUT /api/bag/items/{item_id}/': ofFullBag(4, (id, { buyer }) =>
    call('PUT', `/api/bag/items/${id}/`, buyer, { quantity: 2 }),
  ),
  'PATCH /api/bag/items/{item_id}/': ofFullBag(4, (id, { buyer }) =>
    call('PATCH', `/api/bag/items/${id}/`, buyer, { quantity: 2 }),
  ),
  'DELETE /api/bag/items/{item_id}/': ofFullBag(4, (id, { buyer }) => call('DELETE', `/api/bag/items/${id}/`, buyer)),
  'POST /api/bag/checkout/': ofFullBag(6, (_, { buyer }) => call('POST', '/api/bag/checkout/', buyer)),
}

const orderBudgets: Budgets = {
  'POST /api/orders/': [
    4,
    ({ buyer, productIds }) =>
      call('POST', '/api/orders/', buyer, { products: productIds.map((id) => ({ id, quantity: 1 })) }),
  ],
  'POST /api/orders/ (with an idempotency key)': [
    6,
    ({ buyer, productIds, unique }) => {
      const request = call('POST', '/api/orders/', buyer, { products: productIds.map((id) => ({ id, quantity: 1 })) })
      return { ...request, headers: { ...buyer.headers, 'idempotency-key': unique() } }
    },
  ],
  // Without a page all orders are sent, in steps of 100, each of which is a statement.
  'GET /api/orders/': list(2, () => '/api/orders/?page_size=100', 'buyer'),
  'GET /api/orders/{id}/': list(2, ({ orderId }) => `/api/orders/${orderId}/`, 'buyer'),
  'POST /api/orders/{id}/confirm/': [
    6,
    async (world) => call('POST', `/api/orders/${await world.order()}/confirm/`, world.buyer, PAYMENT),
  ],
  'POST /api/orders/{id}/cancel/': [
    7,
    async (world) => call('POST', `/api/orders/${await world.order()}/cancel/`, world.buyer),
  ],
  'POST /api/orders/{id}/accept/': [
    6,
    async (world) => call('POST', `/api/orders/${await confirmed(world)}/accept/`, world.staff),
  ],
  'POST /api/orders/{id}/ship/': [
    5,
    async (world) => call('POST', `/api/orders/${await accepted(world)}/ship/`, world.staff),
  ],
  'GET /api/sales/': list(3, () => '/api/sales/?page_size=100'),
  'GET /api/sales/{order_id}/': list(3, ({ orderId }) => `/api/sales/${orderId}/`),
}

const socialBudgets: Budgets = {
  'POST /api/users/{id}/follow/': [
    5,
    async ({ test, seller }) => call('POST', `/api/users/${seller.userId}/follow/`, await test.signUp()),
  ],
  'DELETE /api/users/{id}/follow/': [
    4,
    async ({ test, seller, prepare }) => {
      const follower = await test.signUp()
      await prepare(call('POST', `/api/users/${seller.userId}/follow/`, follower))
      return call('DELETE', `/api/users/${seller.userId}/follow/`, follower)
    },
  ],
  'GET /api/users/{id}/followers/': list(4, ({ seller }) => `/api/users/${seller.userId}/followers/?page_size=100`),
  'GET /api/users/{id}/following/': list(4, ({ seller }) => `/api/users/${seller.userId}/following/?page_size=100`),
  'GET /api/feed/': list(3, () => '/api/feed/?page_size=100'),
}

export const storeBudgets: Budgets = {
  ...tagBudgets,
  ...productBudgets,
  ...bagBudgets,
  ...orderBudgets,
  ...socialBudgets,
}
