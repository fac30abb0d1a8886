import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { sql } from '../../platform/db/sql.ts'
import { deleteProductsSweep, hideProductsOfUser } from './delete-products.ts'
import { feedProduct } from './feed-product.fixture.ts'
import { insertFeedProducts, listFeedProductsForExport, updateFeedProducts } from './feed-products.ts'
import { foldProductCounts, listedCount, listFilterOptions } from './product-counts.ts'
import { insertSeller } from './stock/stock.fixture.ts'

let database: TestDatabase
const now = new Date('2026-01-31T09:15:02.000Z')

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

async function count(facets: Partial<{ condition: string; gender: string; brand: string }>): Promise<number> {
  const filter = { condition: '', gender: '', brand: '', ...facets }
  const row = await database.db.row<{ n: number }>(sql`SELECT ${listedCount(filter)} AS n`)
  return row!.n
}

describe('insertFeedProducts', () => {
  it('stores new products with their stock and names taken ids, both in file order', async () => {
    const owner = await insertSeller(database)
    const [a, b, c] = [feedProduct('i-a'), feedProduct('i-b', { quantity: 7, salePrice: 900 }), feedProduct('i-c')]
    await database.db.transaction((tx) => insertFeedProducts(tx, owner, [b], now))

    const result = await database.db.transaction((tx) => insertFeedProducts(tx, owner, [c, b, a, c], now))

    expect(result.created.map((row) => row.feedId)).toEqual(['i-c', 'i-a'])
    expect(result.existing).toEqual(['i-b', 'i-c'])
    const rows = await database.db.rows(sql`
      SELECT feed_id, price, state, quantity, created FROM products JOIN stock_levels ON product_id = id
      WHERE feed_id LIKE 'i-%' ORDER BY feed_id`)
    expect(rows).toEqual([
      { feed_id: 'i-a', price: 19_999, state: 'AVAILABLE', quantity: 5, created: '2026-01-31T09:15:02.000002Z' },
      { feed_id: 'i-b', price: 900, state: 'AVAILABLE', quantity: 7, created: '2026-01-31T09:15:02.000000Z' },
      { feed_id: 'i-c', price: 19_999, state: 'AVAILABLE', quantity: 5, created: '2026-01-31T09:15:02.000000Z' },
    ])
  })

  it('stores every field so that an export gives the same product', async () => {
    const owner = await insertSeller(database)
    const whole = feedProduct('every-field', {
      salePrice: 100,
      oldPrice: 9_999_999_999,
      finalPrice: 0,
      adult: true,
      additionalImagesCount: -3,
      optionsPercentage: '999.99',
      customLabel4: 'quote " comma , brace {} backslash \\ null NULL ü 😀',
      description: `<p>${'long '.repeat(15_000)}</p>`,
    })

    await database.db.transaction((tx) => insertFeedProducts(tx, owner, [whole], now))
    const exported = await listFeedProductsForExport(database.db, { after: '', ownerId: owner, limit: 10 })

    expect(exported).toEqual([whole])
  })

  it('creates each product exactly once when calls with common ids run at the same time in different orders', async () => {
    const owner = await insertSeller(database)
    const products = Array.from({ length: 1_000 }, (_, n) => feedProduct(`race-${n}`))
    const shuffles = Array.from({ length: 6 }, () => products.toSorted(() => Math.random() - 0.5))
    const deadlocksBefore = await deadlocks()

    const results = await Promise.all(
      shuffles.map((shuffled) =>
        database.db.transaction((tx) => insertFeedProducts(tx, owner, shuffled, now), { retries: 0 }),
      ),
    )

    const created = results.flatMap((result) => result.created.map((row) => row.feedId))
    expect(created).toHaveLength(1_000)
    expect(new Set(created).size).toBe(1_000)
    expect(await deadlocks()).toBe(deadlocksBefore)
  })
})

async function deadlocks(): Promise<number> {
  const row = await database.db.row<{ deadlocks: number }>(
    sql`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`,
  )
  return row!.deadlocks
}

describe('updateFeedProducts', () => {
  it('creates, updates, leaves unchanged and leaves alone what belongs to others', async () => {
    const [owner, stranger] = [await insertSeller(database), await insertSeller(database)]
    const same = feedProduct('u-same')
    await database.db.transaction((tx) => insertFeedProducts(tx, stranger, [feedProduct('u-theirs')], now))
    await database.db.transaction((tx) =>
      insertFeedProducts(tx, owner, [same, feedProduct('u-stock'), feedProduct('u-text', { brand: 'Before' })], now),
    )

    const result = await database.db.transaction((tx) =>
      updateFeedProducts(
        tx,
        owner,
        [
          feedProduct('u-text', { brand: 'After', finalPrice: 5 }),
          same,
          feedProduct('u-new'),
          feedProduct('u-theirs', { title: 'Mine now' }),
          feedProduct('u-stock', { quantity: 1 }),
        ],
        now,
      ),
    )

    expect(result.created.map((row) => row.feedId)).toEqual(['u-new'])
    expect(result.updated.map((row) => row.feedId)).toEqual(['u-text', 'u-stock'])
    expect(result.unchanged).toEqual(['u-same'])
    expect(result.notOurs).toEqual(['u-theirs'])
    expect(await count({ brand: 'Before' })).toBe(0)
    expect(await count({ brand: 'After' })).toBe(1)
    const rows = await database.db.rows(sql`
      SELECT feed_id, price, brand, title, quantity FROM products JOIN stock_levels ON product_id = id
      WHERE feed_id IN ('u-text', 'u-stock', 'u-theirs') ORDER BY feed_id`)
    expect(rows).toEqual([
      { feed_id: 'u-stock', price: 19_999, brand: 'Acme', title: 'Title of u-stock', quantity: 1 },
      { feed_id: 'u-text', price: 5, brand: 'After', title: 'Title of u-text', quantity: 5 },
      { feed_id: 'u-theirs', price: 19_999, brand: 'Acme', title: 'Title of u-theirs', quantity: 5 },
    ])
  })

  it('changes nothing when it runs twice', async () => {
    const owner = await insertSeller(database)
    const products = [feedProduct('twice-1'), feedProduct('twice-2')]
    const update = () => database.db.transaction((tx) => updateFeedProducts(tx, owner, products, now))
    await update()

    const again = await update()

    expect(again).toEqual({ created: [], updated: [], unchanged: ['twice-1', 'twice-2'], notOurs: [] })
  })

  it('does not deadlock with uploads and updates of the same ids', async () => {
    const owner = await insertSeller(database)
    const products = Array.from({ length: 300 }, (_, n) => feedProduct(`mixed-${n}`))
    const shuffled = (title: string) =>
      products.toSorted(() => Math.random() - 0.5).map((product) => ({ ...product, title }))

    const work = Array.from({ length: 6 }, (_, n) =>
      database.db.transaction<unknown>((tx) =>
        n % 2 === 0
          ? updateFeedProducts(tx, owner, shuffled(`title ${n}`), now)
          : insertFeedProducts(tx, owner, shuffled('title'), now),
      ),
    )
    await Promise.all(work)

    const rows = await database.db.rows(sql`SELECT DISTINCT title FROM products WHERE feed_id LIKE 'mixed-%'`)
    expect(rows).toHaveLength(1)
  })
})

describe('the counts', () => {
  it('agree with the rows for every filter while writers run, before and after folding', async () => {
    const owner = await insertSeller(database)
    const batches = Array.from({ length: 8 }, (_, batch) =>
      Array.from({ length: 50 }, (_unused, n) =>
        feedProduct(`c-${batch}-${n}`, { brand: `c-${n % 3}`, condition: `c-${batch % 2}`, gender: `c-${n % 2}` }),
      ),
    )
    const writers = batches.map((products) =>
      database.db.transaction((tx) => insertFeedProducts(tx, owner, products, now)),
    )
    await Promise.all([...writers, ...writers.map(() => database.db.transaction(foldProductCounts))])
    const before = await count({ condition: 'c-1', gender: 'c-0', brand: 'c-2' })

    let folded = 1
    while (folded > 0) folded = await database.db.transaction(foldProductCounts)

    expect(before).toBe(32)
    expect(await count({ condition: 'c-1', gender: 'c-0', brand: 'c-2' })).toBe(32)
    expect(await count({ condition: 'c-0' })).toBe(200)
    expect(await count({ gender: 'c-1', brand: 'c-1' })).toBe(72)
    expect(await count({ brand: 'c-0' })).toBe(136)
    const all = await database.db.row<{ n: number }>(
      sql`SELECT count(*) AS n FROM products WHERE feed_id IS NOT NULL AND state = 'AVAILABLE'`,
    )
    expect(await count({})).toBe(all!.n)
    const rows = await database.db.row<{ n: number; keys: number }>(
      sql`SELECT count(*) AS n, count(DISTINCT (brand, condition, gender)) AS keys FROM product_counts`,
    )
    expect(rows!.n).toBe(rows!.keys)
  })
})

describe('a deleted user', () => {
  it('is hidden with all products at once; the rows follow and free their feed ids', async () => {
    const [owner, heir] = [await insertSeller(database), await insertSeller(database)]
    const products = Array.from({ length: 600 }, (_, n) => feedProduct(`gone-${n}`, { brand: 'Gone' }))
    await database.db.transaction((tx) => insertFeedProducts(tx, owner, products, now))
    await database.db.transaction((tx) => hideProductsOfUser(tx, { id: owner }))
    await database.db.transaction((tx) => hideProductsOfUser(tx, { id: owner }))

    const hidden = await count({ brand: 'Gone' })
    const options = await listFilterOptions(database.db)
    const exported = await listFeedProductsForExport(database.db, { after: 'gone-', ownerId: owner, limit: 5 })
    const inherited = await database.db.transaction((tx) => insertFeedProducts(tx, heir, products.slice(0, 10), now))
    const sweep = deleteProductsSweep({ db: database.db, clock: { now: () => now } })
    await Promise.all([sweep.run(), sweep.run()])

    expect(hidden).toBe(0)
    expect(options.brands).not.toContain('Gone')
    expect(exported).toEqual([])
    expect(inherited.created).toHaveLength(10)
    expect(await count({ brand: 'Gone' })).toBe(10)
    const left = await database.db.rows(sql`
      SELECT count(*) FILTER (WHERE deleted IS NULL) AS live, count(*) AS rows, (
        SELECT count(*) FROM stock_levels JOIN products p ON p.id = product_id WHERE p.owner_id = ${owner}) AS stock
      FROM products WHERE owner_id = ${owner}`)
    expect(left).toEqual([{ live: 0, rows: 600, stock: 0 }])
    const named = await database.db.rows<{ n: number }>(sql`
      SELECT sum(jsonb_array_length(data->'products')) AS n FROM outbox
      WHERE topic = 'catalog.products.deleted' AND subject_id = ${owner}`)
    expect(named).toEqual([{ n: 600 }])
    await expect(
      database.db.transaction((tx) => insertFeedProducts(tx, owner, [feedProduct('after-death')], now)),
    ).rejects.toMatchObject({ status: 401 })
  })
})
