import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'
import { changeTag, createTag, deleteTag } from '../tags/tags.ts'
import { saveSearchDocuments } from './documents.ts'
import { countFacets } from './facets.ts'
import { listNewest } from './product-matches.ts'
import { listMostRelevant } from './relevance.ts'
import { refreshTagNames } from './tag-names.ts'

/** More than two batches. */
const PRODUCTS = 1_100
const OWNER = newId()
const NOW = new Date()

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (${OWNER}, 'seller', 'none')`)
})
afterAll(() => database.drop())

async function makeTag(name: string, products: number): Promise<string> {
  return database.db.transaction(async (tx) => {
    const { id } = await createTag(tx, OWNER, { name, description: 'A tag.' }, NOW)
    const ids = await tx.rows<{ id: string }>(sql`
      INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
      SELECT gen_random_uuid(), ${OWNER}, 'Thing', 'Common.', 1, 'AVAILABLE', at, at
      FROM generate_series(1, ${products}) n, LATERAL (SELECT now() + n * interval '1 microsecond' AS at) t RETURNING id`)
    await tx.run(sql`INSERT INTO product_tags SELECT unnest(${ids.map((row) => row.id)}::uuid[]), ${id}, 0`)
    await saveSearchDocuments(tx, ids.map((row) => row.id)) // prettier-ignore
    return id
  })
}

const refresh = () => database.db.transaction(refreshTagNames)

async function count(searchTerm: string): Promise<number> {
  const row = await database.db.row<{ count: number }>(
    sql`SELECT count(*) AS count FROM product_search WHERE tag_names LIKE ${`%${searchTerm}%`}`,
  )
  return row?.count ?? 0
}

it('brings a new name to many products in batches, which may be cut short and run twice', async () => {
  const id = await makeTag('Old name', PRODUCTS)
  await database.db.transaction((tx) => changeTag(tx, OWNER, id, { name: 'New name' }, NOW))
  expect([await count('old name'), await count('new name')]).toEqual([600, 500])

  const died = database.db.transaction(async (tx) => {
    await refreshTagNames(tx)
    throw new Error('killed')
  })
  await expect(died).rejects.toThrow('killed')
  expect([await count('old name'), await count('new name')]).toEqual([600, 500])

  await Promise.all([refresh(), refresh()])
  await Promise.all([refresh(), refresh()])
  while (await refresh());
  expect([await count('old name'), await count('new name')]).toEqual([0, PRODUCTS])
  expect((await listNewest(database.db, { searchTerm: 'ew nam' }, 5)).rows).toHaveLength(5)
})

it('finds nothing by a name that is gone while the batches still run', async () => {
  const { db } = database
  const literal = async (searchTerm: string) => (await listNewest(db, { searchTerm }, 100)).rows
  const meant = async (searchTerm: string) =>
    (await listMostRelevant(db, { searchTerm }, { skip: 0, pageSize: 100 })).products
  const id = await makeTag('Gabardine', PRODUCTS)
  expect([(await literal('gabardine')).length, (await meant('gabradine')).length]).toEqual([100, 100])

  await db.transaction((tx) => changeTag(tx, OWNER, id, { name: 'Houndstooth' }, NOW))
  expect([await count('gabardine'), await literal('gabardine'), await meant('gabradine')]).toEqual([600, [], []])
  expect((await countFacets(db, { searchTerm: 'gabardine' })).counted).toBe(0)
  expect(await literal('houndstooth')).toHaveLength(100)

  await db.transaction((tx) => deleteTag(tx, OWNER, id, NOW))
  expect([await literal('gabardine'), await literal('houndstooth')]).toEqual([[], []])
  while (await refresh());
})

it('begins again when the tag is changed while the batches run', async () => {
  const id = await makeTag('First', PRODUCTS)
  await database.db.transaction((tx) => changeTag(tx, OWNER, id, { name: 'Second' }, NOW))
  await refresh()

  await database.db.transaction((tx) => deleteTag(tx, OWNER, id, NOW))

  while (await refresh());
  expect([await count('first'), await count('second')]).toEqual([0, 0])
  expect((await listNewest(database.db, { tagId: id }, 5)).rows).toEqual([])
})

it('leaves no old name where a product is tagged while the tag is renamed', async () => {
  const id = await makeTag('Racing 0', 1)
  const [product] = await database.db.rows<{ id: string }>(
    sql`SELECT product_id AS id FROM product_tags WHERE tag_id = ${id}`,
  )
  const write = () =>
    database.db.transaction(async (tx) => {
      await tx.run(sql`SELECT FROM products WHERE id = ${product!.id} FOR UPDATE`)
      await tx.run(sql`DELETE FROM product_tags WHERE product_id = ${product!.id}`)
      await tx.run(sql`INSERT INTO product_tags VALUES (${product!.id}, ${id}, 0)`)
      await saveSearchDocuments(tx, [product!.id])
    })

  for (let round = 1; round <= 20; round++) {
    const rename = () => database.db.transaction((tx) => changeTag(tx, OWNER, id, { name: `Racing ${round}` }, NOW))
    await Promise.all([write(), rename(), write(), write()])
    expect(await count(`racing ${round}`)).toBe(1)
  }
})
