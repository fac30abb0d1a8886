import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { feedProduct } from './feed-product.fixture.ts'
import { insertFeedProducts } from './feed-products.ts'

let souk: TestApp
let user: TestUser
let statements: string[] = []

beforeAll(async () => {
  // The api role alone: services of the worker would send statements of their own.
  souk = await startTestApp({ role: 'api', onStatement: (text) => statements.push(text) })
  user = await souk.signUp()
  const products = Array.from({ length: 60 }, (_, n) => feedProduct(`budget-${n}`))
  await souk.db.transaction((tx) => insertFeedProducts(tx, user.userId, products, new Date()))
})
afterAll(() => souk.close())
beforeEach(() => {
  statements = []
})

const isOurs = (text: string) => /\b(products|product_counts|stock_levels|deleted_owners)\b/.test(text)

it.each([
  ['/list-products/?page_size=20', 1],
  ['/list-products/?page_size=20&page=3&brand=Acme&gender=male&sort_by=price&order=desc', 1],
  ['/list-products/?page=last', 2],
  ['/product-detail/budget-7/', 1],
  ['/filter-options/', 1],
])('answers %s with %i statements beside authentication', async (url, budget) => {
  const response = await souk.inject({ method: 'GET', url, headers: user.headers })

  expect(response.statusCode).toBe(200)
  expect(statements.filter(isOurs)).toHaveLength(budget)
})
