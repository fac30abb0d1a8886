import type { InjectOptions } from 'fastify'
import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { seedStore, type SeededStore } from '../../bench/support/store-seed.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { startCountedApp, type CountedApp } from './counted-app.ts'
import { explain, type Reading } from './plans.ts'
import { insertTrade } from './sample-trade.ts'

const PRODUCTS = 20_000
/** Tables that grow with the trade. The planner may read a small one whole. */
const LARGE = [
  'products',
  'stock_levels',
  'product_tags',
  'product_search',
  'search_words',
  'tags',
  'users',
  'orders',
  'order_lines',
  'sales',
  'payments',
  'bags',
  'bag_items',
  'follows',
]

/** The search documents alone are about 3,000. */
const MAX_PAGES = 1_000

let app: CountedApp
let store: SeededStore
let client: pg.Client
let orderId: string
beforeAll(async () => {
  app = await startCountedApp()
  store = await seedStore(app.test.databaseUrl, PRODUCTS)
  await insertTrade(app.test.db, store, PRODUCTS)
  client = await app.test.db.connect('souk test')
  const order = await app.test.db.row<{ id: string }>(
    sql`SELECT id FROM orders WHERE customer_id = ${store.sellers[0]!.id}`,
  )
  orderId = order!.id
})
afterAll(async () => {
  await client.end()
  await app.test.close()
})

const rareWord = () => store.catalogue.words[15_000]!
const frequentWord = () => store.catalogue.words[20]!
const products = () =>
  [...take(store.catalogue.products(), 2)].map(({ id, variants }) => ({ id, variant: variants[0]!.name, quantity: 1 }))

it.each<[what: string, requestOf: () => InjectOptions]>([
  ['the list of products', () => get('/api/products/')],
  ['a later page of the list', () => get('/api/products/?offset=2025-01-01T01:00:00Z')],
  ['a search for a frequent word', () => get(`/api/products/?search_term=${term(frequentWord())}`)],
  ['a search for a rare word', () => get(`/api/products/?search_term=${term(rareWord())}`)],
  ['a search for a part of a word', () => get(`/api/products/?search_term=${term(rareWord().slice(1, 5))}`)],
  ['a search for two words', () => get(`/api/products/?search_term=${term(`${frequentWord()} ${rareWord()}`)}`)],
  ['a search by relevance', () => get(`/api/products/?sort=relevance&search_term=${term(rareWord())}`)],
  ['the products with a tag', () => get(`/api/products/?tag=${store.tagIds[50]}`)],
  ['the tags', () => get('/api/tags/')],
  [
    'the tags with a part of a name',
    () => get(`/api/tags/?search_term=${term(store.catalogue.tagNames[50]!.slice(1, 6))}`),
  ],
  ['the products of a seller', () => get(`/api/products/?owner_user_id=${store.sellers[500]!.id}`)],
  ['the own products', () => get(`/api/users/${store.sellers[0]!.id}/products/`)],
  ['one product', () => get(`/api/products/${products()[0]!.id}/`)],
  ['the products of those one follows', () => get('/api/feed/')],
  ['the own orders', () => get('/api/orders/?page_size=20')],
  ['one order', () => get(`/api/orders/${orderId}/`)],
  ['the own sales', () => get('/api/sales/')],
  ['the bag', () => get('/api/bag/')],
  ['the followers of a user', () => get(`/api/users/${store.sellers[0]!.id}/followers/`)],
  ['those a user follows', () => get(`/api/users/${store.sellers[0]!.id}/following/`)],
  ['a new order', () => post('/api/orders/', { products: products() })],
  ['one more line in the bag', () => post('/api/bag/items/', bagLine())],
  ['the checkout of a bag', () => post('/api/bag/checkout/', {})],
])('%s reads few pages and no large table from end to end', async (_, requestOf) => {
  const { response, sent } = await app.count(requestOf())

  const excessive: Record<string, Reading> = {}
  for (const statement of sent) {
    const { tables, pages } = await explain(client, statement)
    const whole = tables.filter((table) => LARGE.includes(table))
    if (whole.length > 0 || pages > MAX_PAGES) excessive[statement.text] = { tables: whole, pages }
  }

  expect(response.statusCode).toBeLessThan(300)
  expect(excessive).toEqual({})
})

function get(url: string): InjectOptions {
  return { method: 'GET', url, headers: store.sellers[0]!.headers }
}

function post(url: string, payload: object): InjectOptions {
  return { method: 'POST', url, headers: store.sellers[0]!.headers, payload }
}

function bagLine(): object {
  const { id, variant } = products()[0]!
  return { product_id: id, variant, quantity: 1 }
}

function term(text: string): string {
  return encodeURIComponent(text)
}

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0
  for (const value of values) {
    if (taken++ === count) return
    yield value
  }
}
