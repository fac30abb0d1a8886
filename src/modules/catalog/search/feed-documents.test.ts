import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'
import { deleteProductsSweep, hideProductsOfUser } from '../delete-products.ts'
import { feedProduct } from '../feed-product.fixture.ts'
import { insertFeedProducts, updateFeedProducts } from '../feed-products.ts'
import type { FeedProduct } from '../feed/feed-item.ts'
import { makeDocumentWords } from './document-words.ts'
import type { ProductFilter } from './product-filter.ts'
import { listNewest } from './product-matches.ts'

const OWNER = newId()
const NOW = new Date()

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (${OWNER}, 'seller', 'none')`)
})
afterAll(() => database.drop())

const insert = (products: FeedProduct[]) =>
  database.db.transaction((tx) => insertFeedProducts(tx, OWNER, products, NOW))
const update = (products: FeedProduct[]) =>
  database.db.transaction((tx) => updateFeedProducts(tx, OWNER, products, NOW))
const makeWords = () => database.db.transaction((tx) => makeDocumentWords(tx, 100))
const find = async (filter: ProductFilter) => (await listNewest(database.db, filter, 20)).rows.map((row) => row.title)
const countWords = async () =>
  (await database.db.row<{ count: number }>(sql`SELECT count(words) AS count FROM product_search`))?.count

it('finds what a feed brings at once, with accents and without', async () => {
  await insert([
    feedProduct('a', { title: 'Crème de la crème', description: 'Fine' }),
    feedProduct('b', { title: 'Plain' }),
  ])

  expect(await find({ searchTerm: 'DE LA CREME' })).toEqual(['Crème de la crème'])
  expect(await find({ searchTerm: 'plai' })).toEqual(['Plain'])
})

it('finds a product by what its feed says now, with words and without', async () => {
  await insert([feedProduct('c', { title: 'Blue kettle', brand: 'Acme' })])
  await makeWords()

  await update([feedProduct('c', { title: 'Red kettle', brand: 'Zenith' })])
  expect(await find({ searchTerm: 'blue ket' })).toEqual([])
  expect(await find({ searchTerm: 'red ket' })).toEqual(['Red kettle'])
  await makeWords()

  expect(await find({ searchTerm: 'red ket' })).toEqual(['Red kettle'])
  expect(await find({ searchTerm: 'kettle', brand: 'Zenith' })).toEqual(['Red kettle'])
  expect(await find({ searchTerm: 'kettle', brand: 'Acme' })).toEqual([])
})

it('finds a product by a brand alone that has changed', async () => {
  const lamp = { title: 'Lamp', brand: 'Acme' }
  await insert([feedProduct('d', lamp)])
  await makeWords()

  await update([feedProduct('d', { ...lamp, brand: 'Lumen' })])

  expect(await find({ brand: 'Lumen' })).toEqual(['Lamp'])
})

it('keeps the words of a product of which only the price has changed', async () => {
  await insert([feedProduct('e', { title: 'Rug', price: 100 })])
  await makeWords()
  const before = await countWords()

  await update([feedProduct('e', { title: 'Rug', price: 90 })])

  expect(await countWords()).toBe(before)
  expect(await find({ searchTerm: 'rug', maxPrice: 95 })).toEqual(['Rug'])
})

it('forgets the products of a deleted user', async () => {
  await database.db.transaction((tx) => hideProductsOfUser(tx, { id: OWNER }))
  expect(await find({})).toEqual([])

  await deleteProductsSweep({ db: database.db, clock: { now: () => NOW } }).run()

  expect(await countWords()).toBe(0)
  expect(await find({ searchTerm: 'kettle' })).toEqual([])
})
