import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { newId } from '../../../platform/ids.ts'
import { insertProduct, insertSeller, stockOf } from './stock.fixture.ts'
import { describeOffers, returnStock, takeStock, type StockLine } from './stock.ts'

let database: TestDatabase
let sellerId: string

beforeAll(async () => {
  database = await createTestDatabase()
  sellerId = await insertSeller(database)
})
afterAll(() => database.drop())

const product = (stock: Record<string, number>, state?: string) => insertProduct(database, sellerId, stock, state)
const take = (...lines: StockLine[]) => database.db.transaction((tx) => takeStock(tx, lines))

it('takes the units of every line and says at what price', async () => {
  const [a, b] = [await product({ S: 5, M: 1 }), await product({ default: 3 })]

  const taken = await take(
    { productId: b, variant: 'default', quantity: 1 },
    { productId: a, variant: 'S', quantity: 2 },
    { productId: b, variant: 'default', quantity: 2 },
  )

  const line = { unitPrice: 1999, sellerId, title: 'Shirt' }
  expect(taken).toEqual({
    result: 'taken',
    lines: [
      { productId: b, variant: 'default', quantity: 1, ...line },
      { productId: a, variant: 'S', quantity: 2, ...line },
      { productId: b, variant: 'default', quantity: 2, ...line },
    ],
  })
  expect(await stockOf(database, a)).toEqual({ S: 3, M: 1 })
  expect(await stockOf(database, b)).toEqual({ default: 0 })
})

it('takes nothing when one line is short', async () => {
  const [a, b] = [await product({ S: 5 }), await product({ default: 3 })]

  const short = await take(
    { productId: a, variant: 'S', quantity: 2 },
    { productId: b, variant: 'default', quantity: 2 },
    { productId: b, variant: 'default', quantity: 2 },
  )

  expect(short).toEqual({ result: 'short', short: [{ productId: b, variant: 'default' }] })
  expect(await stockOf(database, a)).toEqual({ S: 5 })
  expect(await stockOf(database, b)).toEqual({ default: 3 })
})

it('takes nothing and names the pairs that cannot be ordered', async () => {
  const [a, draft, unknown] = [await product({ S: 5 }), await product({ default: 3 }, 'DRAFT'), newId()]

  const missing = await take(
    { productId: unknown, variant: 'default', quantity: 1 },
    { productId: a, variant: 'S', quantity: 9 },
    { productId: a, variant: 'XL', quantity: 1 },
    { productId: draft, variant: 'default', quantity: 1 },
  )

  expect(missing).toEqual({
    result: 'missing',
    missing: [
      [unknown, 'default'],
      [a, 'XL'],
      [draft, 'default'],
    ],
  })
  expect(await stockOf(database, a)).toEqual({ S: 5 })
})

it.each([2_147_483_648, Number.MAX_SAFE_INTEGER, 1e300, Number.MAX_VALUE])(
  'finds %d units of anything too many',
  async (quantity) => {
    const productId = await product({ default: 2_147_483_647 })

    const short = await take({ productId, variant: 'default', quantity }, { productId, variant: 'default', quantity })

    expect(short.result).toBe('short')
  },
)

it('gives units back to the variants that are left, up to the largest number there is', async () => {
  const [a, gone] = [await product({ S: 0, M: 2_147_483_640 }), newId()]

  await database.db.transaction((tx) =>
    returnStock(tx, [
      { productId: a, variant: 'M', quantity: 5 },
      { productId: a, variant: 'S', quantity: 1 },
      { productId: a, variant: 'M', quantity: 5 },
      { productId: a, variant: 'XL', quantity: 1 },
      { productId: gone, variant: 'S', quantity: 1 },
    ]),
  )

  expect(await stockOf(database, a)).toEqual({ M: 2_147_483_647, S: 1 })
})

it('describes what can be ordered, in the order asked', async () => {
  const [a, draft, unknown] = [await product({ S: 5, M: 0 }), await product({ S: 3 }, 'DRAFT'), newId()]
  const pairs = [a, draft, unknown, a].map((productId) => ({ productId, variant: 'S' }))

  const offers = await describeOffers(database.db, [
    ...pairs,
    { productId: a, variant: 'M' },
    { productId: a, variant: 'L' },
  ])

  const known = { title: 'Shirt', price: 1999, sellerId }
  expect(offers).toEqual([
    { productId: a, variant: 'S', ...known, available: 5, isOrderable: true },
    { productId: draft, variant: 'S', ...known, available: 0, isOrderable: false },
    { productId: unknown, variant: 'S', title: '', price: 0, sellerId: '', available: 0, isOrderable: false },
    { productId: a, variant: 'S', ...known, available: 5, isOrderable: true },
    { productId: a, variant: 'M', ...known, available: 0, isOrderable: true },
    { productId: a, variant: 'L', ...known, available: 0, isOrderable: false },
  ])
})
