import { toTimestamp } from '../../platform/clock.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import { newId } from '../../platform/ids.ts'
import {
  listAfterFeedId,
  lockByFeedIds,
  lockStock,
  updateRows,
  type NewFeedProduct,
  type StoredFeedProduct,
} from './feed-product-queries.ts'
import { insertFree } from './feed-product-inserts.ts'
import type { FeedProduct } from './feed/feed-item.ts'
import { requireActiveOwner } from './deleted-owners.ts'
import { releaseFeedIds } from './delete-products.ts'

export { recordFeedChanges } from './feed-changes.ts'
export type { FeedChanges } from './feed-changes.ts'
export { refreshStatistics } from './feed-product-queries.ts'
export type { StoredFeedProduct } from './feed-product-queries.ts'

/** A statement carries at most so many products and about so many characters: building it must not hold the event loop for long. */
const STATEMENT_ROWS = 250
const STATEMENT_CHARACTERS = 1_000_000
/** Rounds of an update that meets products which others are creating at the same moment. */
const UPDATE_ROUNDS = 5

export interface InsertedFeedProducts {
  created: StoredFeedProduct[]
  /** Feed ids that were taken, by the catalogue or earlier in the same array. */
  existing: string[]
}

/**
 * Stores the products whose feed id is free, with stock `{"default": quantity}`; both lists keep the given order. Everybody who stores
 * takes the ids of one call in the same order, so that two calls with common ids wait for each other and never deadlock; a caller that
 * needs several calls in one transaction keeps that order across them (`compareFeedIds`). Throws when the owner has been deleted.
 */
export async function insertFeedProducts(
  tx: Tx,
  ownerId: string,
  products: readonly FeedProduct[],
  now: Date,
): Promise<InsertedFeedProducts> {
  await requireActiveOwner(tx, ownerId)
  const rows = inLockOrder(firstOfEachId(products))
  await releaseFeedIds(
    tx,
    rows.map((row) => row.product.feedId),
    now,
  )
  const stored = new Map<string, StoredFeedProduct>()
  for (const { id, product } of await insertFree(tx, ownerId, rows, now)) {
    stored.set(product.feedId, { id, feedId: product.feedId })
  }
  return inGivenOrder(products, stored)
}

export interface UpdatedFeedProducts {
  created: StoredFeedProduct[]
  updated: StoredFeedProduct[]
  unchanged: string[]
  /** Feed ids of other people's products, which an update leaves alone. */
  notOurs: string[]
}

/** As `insertFeedProducts`, and writes the new values into those of the owner's own products that differ. Of equal ids the first counts. */
export async function updateFeedProducts(
  tx: Tx,
  ownerId: string,
  products: readonly FeedProduct[],
  now: Date,
): Promise<UpdatedFeedProducts> {
  const result: UpdatedFeedProducts = { created: [], updated: [], unchanged: [], notOurs: [] }
  let open: readonly FeedProduct[] = firstOfEachId(products).map((row) => row.product)
  for (let round = 0; open.length > 0; round++) {
    if (round === UPDATE_ROUNDS) throw new Error('products keep appearing and vanishing while they are updated')
    const missing = await updateStored(tx, ownerId, open, now, result)
    const { created, existing } = await insertFeedProducts(tx, ownerId, missing, now)
    result.created.push(...created)
    // Created by somebody else between the look and the insert: looked at again.
    const contested = new Set(existing)
    open = missing.filter((product) => contested.has(product.feedId))
  }
  return result
}

/** Updates those that are stored already and sorts them into `result`; returns the rest. */
async function updateStored(
  tx: Tx,
  ownerId: string,
  products: readonly FeedProduct[],
  now: Date,
  result: UpdatedFeedProducts,
): Promise<FeedProduct[]> {
  await requireActiveOwner(tx, ownerId)
  const feedIds = products.map((product) => product.feedId)
  await releaseFeedIds(tx, feedIds, now)
  const locked = new Map((await lockByFeedIds(tx, feedIds)).map((row) => [row.feedId, row]))
  const own: NewFeedProduct[] = []
  const missing: FeedProduct[] = []
  products.forEach((product, place) => {
    const stored = locked.get(product.feedId)
    if (stored === undefined) missing.push(product)
    else if (stored.ownerId === ownerId) own.push({ id: stored.id, place, product })
    else result.notOurs.push(product.feedId)
  })

  await lockStock(
    tx,
    own.map((row) => row.id),
  )
  const changed = new Set<string>()
  for (const batch of statementBatches(inLockOrder(own))) {
    for (const id of await updateRows(tx, batch, toTimestamp(now))) changed.add(id)
  }
  for (const { id, product } of own) {
    if (changed.has(id)) result.updated.push({ id, feedId: product.feedId })
    else result.unchanged.push(product.feedId)
  }
  return missing
}

/** The listed feed products whose feed id comes after `after` (at first the empty text), by feed id; for an export in steps. */
export async function listFeedProductsForExport(
  db: Queryable,
  query: { after: string; ownerId?: string | undefined; limit: number },
): Promise<FeedProduct[]> {
  return listAfterFeedId(db, query)
}

/** The order in which ids are taken by everyone who stores feed products. */
export function compareFeedIds(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function firstOfEachId(products: readonly FeedProduct[]): NewFeedProduct[] {
  const seen = new Set<string>()
  const rows: NewFeedProduct[] = []
  products.forEach((product, place) => {
    if (seen.has(product.feedId)) return
    seen.add(product.feedId)
    rows.push({ id: newId(), place, product })
  })
  return rows
}

function inLockOrder(rows: readonly NewFeedProduct[]): NewFeedProduct[] {
  return rows.toSorted((a, b) => compareFeedIds(a.product.feedId, b.product.feedId))
}

function inGivenOrder(
  products: readonly FeedProduct[],
  stored: ReadonlyMap<string, StoredFeedProduct>,
): InsertedFeedProducts {
  const created: StoredFeedProduct[] = []
  const existing: string[] = []
  const named = new Set<string>()
  for (const { feedId } of products) {
    const row = named.has(feedId) ? undefined : stored.get(feedId)
    named.add(feedId)
    if (row === undefined) existing.push(feedId)
    else created.push(row)
  }
  return { created, existing }
}

function* statementBatches(rows: readonly NewFeedProduct[]): Generator<NewFeedProduct[]> {
  let batch: NewFeedProduct[] = []
  let characters = 0
  for (const row of rows) {
    batch.push(row)
    characters += row.product.description.length
    if (batch.length < STATEMENT_ROWS && characters < STATEMENT_CHARACTERS) continue
    yield batch
    batch = []
    characters = 0
  }
  if (batch.length > 0) yield batch
}
