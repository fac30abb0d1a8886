import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Change } from '../../changes/index.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { newId } from '../../platform/ids.ts'
import { hideProductsOfUser } from './delete-products.ts'
import { feedProduct } from './feed-product.fixture.ts'
import { insertFeedProducts } from './feed-products.ts'
import { hiddenProductChanges } from './product-visibility.ts'
import { insertSeller } from './stock/stock.fixture.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

async function importedBy(ownerId: string, ...feedIds: string[]): Promise<Change> {
  const { created } = await database.db.transaction((tx) =>
    insertFeedProducts(
      tx,
      ownerId,
      feedIds.map((id) => feedProduct(id)),
      new Date(),
    ),
  )
  return {
    position: 1,
    id: newId(),
    topic: 'catalog.products.imported',
    subject: { type: 'feed', id: newId() },
    key: 'feed:1',
    actor: ownerId,
    audience: ['public'],
    data: { ownerId, source: 'upload', sourceId: newId(), products: created },
    time: '2026-01-31T09:15:02.000000Z',
  }
}

function caller(userId: string, isStaff = false): Caller {
  return {
    userId,
    username: 'reader',
    email: null,
    isStaff,
    isSuperuser: false,
    scopes: ['read'],
    signInId: null,
    via: 'token',
  }
}

it('hides a change once none of its products can be seen, except from the owner and staff', async () => {
  const [seller, leaver, reader] = [
    await insertSeller(database),
    await insertSeller(database),
    await insertSeller(database),
  ]
  const changes = [
    await importedBy(seller, 'v-1', 'v-2'),
    await importedBy(seller, 'v-3', 'v-4'),
    await importedBy(seller, 'v-5'),
    await importedBy(leaver, 'v-6', 'v-7'),
  ]
  await database.db.run(sql`UPDATE products SET state = 'DRAFT' WHERE feed_id IN ('v-3', 'v-5')`)
  await database.db.transaction((tx) => hideProductsOfUser(tx, { id: leaver }))

  const forReader = await hiddenProductChanges(database.db, caller(reader), changes)
  const forSeller = await hiddenProductChanges(database.db, caller(seller), changes)
  const forStaff = await hiddenProductChanges(database.db, caller(reader, true), changes)

  expect([...forReader]).toEqual([changes[2]!.id, changes[3]!.id])
  expect([...forSeller]).toEqual([changes[3]!.id])
  expect([...forStaff]).toEqual([])
})
