import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { markProductDeleted } from '../products/product-queries.ts'
import { insertProduct, insertSeller, stockOf } from './stock.fixture.ts'
import { replaceStock, returnStock, takeStock, type StockLine, type TakeResult } from './stock.ts'

/** So many are at work at the same moment; without retries, so that a deadlock would show. */
const CONNECTIONS = 40

let database: TestDatabase
let ownerId: string

beforeAll(async () => {
  database = await createTestDatabase({ poolSize: CONNECTIONS })
  ownerId = await insertSeller(database)
})
afterAll(() => database.drop())

const inTransaction = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => database.db.transaction(work, { retries: 0 })
const take = (lines: StockLine[]): Promise<TakeResult> => inTransaction((tx) => takeStock(tx, lines))
const giveBack = (lines: StockLine[]): Promise<void> => inTransaction((tx) => returnStock(tx, lines))
const one = (productId: string, variant = 'default'): StockLine => ({ productId, variant, quantity: 1 })
const countOf = (results: TakeResult[], wanted: TakeResult['result']) =>
  results.filter(({ result }) => result === wanted).length

const changesOf = async (productId: string) =>
  (
    await database.db.rows<{ topic: string }>(
      sql`SELECT topic FROM outbox WHERE subject_id = ${productId} ORDER BY seq`,
    )
  ).map(({ topic }) => topic)

function replace(productId: string, stock: Record<string, number>): Promise<void> {
  return inTransaction(async (tx) => {
    await tx.run(sql`SELECT FROM products WHERE id = ${productId} FOR NO KEY UPDATE`)
    await replaceStock(tx, { id: productId, ownerId, state: 'AVAILABLE' }, stock)
  })
}

it('sells 50 units to exactly 50 of 500 buyers', async () => {
  const productId = await insertProduct(database, ownerId, { default: 50 })

  const results = await Promise.all(Array.from({ length: 500 }, () => take([one(productId)])))

  expect(countOf(results, 'taken')).toBe(50)
  expect(countOf(results, 'short')).toBe(450)
  expect(await stockOf(database, productId)).toEqual({ default: 0 })
  expect(await changesOf(productId)).toEqual(['catalog.product.sold-out'])
})

it('lets buyers of the same variants in any order wait for each other, never in a circle', async () => {
  const productIds = await Promise.all(
    Array.from({ length: 4 }, () => insertProduct(database, ownerId, { S: 100, M: 100 })),
  )
  const lines = productIds.flatMap((id) => [one(id, 'S'), one(id, 'M')])
  const turned = (by: number) => [...lines.slice(by % 8), ...lines.slice(0, by % 8)]

  const results = await Promise.all(
    Array.from({ length: 200 }, (_, n) => take(n % 2 === 0 ? turned(n) : turned(n).toReversed())),
  )

  expect(countOf(results, 'taken')).toBe(100)
  expect(await Promise.all(productIds.map((id) => stockOf(database, id)))).toEqual(
    productIds.map(() => ({ S: 0, M: 0 })),
  )
})

it('takes all lines or none while others take some of them', async () => {
  const [a, b] = [
    await insertProduct(database, ownerId, { default: 60 }),
    await insertProduct(database, ownerId, { default: 40 }),
  ]

  const both = Array.from({ length: 60 }, () => take([one(b), one(a)]))
  const single = Array.from({ length: 60 }, () => take([one(a)]))
  const [boths, singles] = [await Promise.all(both), await Promise.all(single)]

  const [soldBoth, soldA] = [countOf(boths, 'taken'), countOf(singles, 'taken')]
  expect(soldBoth + soldA).toBeLessThanOrEqual(60)
  expect(await stockOf(database, a)).toEqual({ default: 60 - soldBoth - soldA })
  expect(await stockOf(database, b)).toEqual({ default: 40 - soldBoth })
})

it('loses no unit between buyers and those that give back', async () => {
  const productId = await insertProduct(database, ownerId, { S: 20, M: 20 })
  const lines = [one(productId, 'S'), one(productId, 'M')]

  const results = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const taken = await take(n % 2 === 0 ? lines : lines.toReversed())
      if (taken.result === 'taken') await giveBack(lines)
      return taken
    }),
  )

  expect(countOf(results, 'missing')).toBe(0)
  expect(await stockOf(database, productId)).toEqual({ S: 20, M: 20 })
})

it('counts each unit once while the stock is set anew', async () => {
  const productId = await insertProduct(database, ownerId, { S: 5, M: 5, old: 1 })
  const takes = () => Array.from({ length: 60 }, () => take([one(productId, 'S')]))

  const first = takes()
  const set = replace(productId, { S: 30, M: 0, new: 2 })
  const [results] = await Promise.all([Promise.all([...first, ...takes()]), set])

  // What was sold before the stock was set came out of the old units, the rest out of the new ones.
  const { S: left = Number.NaN, ...others } = await stockOf(database, productId)
  const soldBefore = countOf(results, 'taken') - (30 - left)
  expect(countOf(results, 'missing')).toBe(0)
  expect(left).toBeGreaterThanOrEqual(0)
  expect(soldBefore).toBeGreaterThanOrEqual(0)
  expect(soldBefore).toBeLessThanOrEqual(5)
  expect(others).toEqual({ M: 0, new: 2 })
})

it('lets several variants be taken while the stock is set anew again and again', async () => {
  const productId = await insertProduct(database, ownerId, { a: 500, b: 500, c: 500 })
  const lines = ['c', 'a', 'b'].map((variant) => one(productId, variant))
  const stocks = [
    { b: 500, a: 500, c: 500, d: 1 },
    { c: 500, b: 500, a: 500 },
  ]

  const results = await Promise.all([
    ...Array.from({ length: 120 }, () => take(lines)),
    ...Array.from({ length: 30 }, (_, n) => replace(productId, stocks[n % 2]!)),
    ...Array.from({ length: 60 }, () => giveBack(lines)),
  ])

  const { a, b, c } = await stockOf(database, productId)
  expect(countOf(results.slice(0, 120) as TakeResult[], 'taken')).toBe(120)
  expect([b, c]).toEqual([a, a])
})

it('sells nothing of a product once it is deleted, and nothing comes back to it', async () => {
  const productId = await insertProduct(database, ownerId, { a: 1_000, b: 1_000 })
  const lines = [one(productId, 'b'), one(productId, 'a')]
  const remove = () =>
    inTransaction(async (tx) => {
      await tx.run(sql`SELECT FROM products WHERE id = ${productId} FOR NO KEY UPDATE`)
      await markProductDeleted(tx, productId, 'AVAILABLE', new Date().toISOString())
    })

  const before = Array.from({ length: 60 }, () => take(lines))
  const [results] = await Promise.all([
    Promise.all([...before, ...Array.from({ length: 60 }, () => take(lines))]),
    remove(),
    ...Array.from({ length: 20 }, () => giveBack(lines)),
  ])
  const after = await take(lines)

  expect(countOf(results, 'taken') + countOf(results, 'missing')).toBe(120)
  expect(after.result).toBe('missing')
  expect(await stockOf(database, productId)).toEqual({})
})

it('waits for a buyer who has not committed, and sees what is left then', async () => {
  const productId = await insertProduct(database, ownerId, { default: 1 })
  let finish: (how: 'commit' | 'roll back') => void = () => undefined
  const decided = new Promise<'commit' | 'roll back'>((resolve) => {
    finish = resolve
  })

  const first = inTransaction(async (tx) => {
    const taken = await takeStock(tx, [one(productId)])
    if ((await decided) === 'roll back') throw new Error('changed my mind')
    return taken
  }).catch((error: Error) => error.message)
  await new Promise((resolve) => setTimeout(resolve, 50))
  const second = take([one(productId)])
  await new Promise((resolve) => setTimeout(resolve, 50))
  finish('roll back')

  expect(await first).toBe('changed my mind')
  expect((await second).result).toBe('taken')
  expect(await changesOf(productId)).toEqual(['catalog.product.sold-out'])
})
