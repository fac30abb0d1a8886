import { recordChanges, type NewChange } from '../../changes/index.ts'
import type { Tx } from '../../platform/db/db.ts'
import type { StoredFeedProduct } from './feed-product-queries.ts'
import { productsImported, productsUpdated } from './topics.ts'

export interface FeedChanges {
  ownerId: string
  source: 'upload' | 'import'
  sourceId: string
  created?: readonly StoredFeedProduct[]
  updated?: readonly StoredFeedProduct[]
}

/** Changes per statement: building one must not hold the event loop for long. */
const CHANGES_AT_ONCE = 10

/** Records what a feed has done to the catalogue: a change per chunk of products, in the given order. */
export async function recordFeedChanges(tx: Tx, changes: FeedChanges): Promise<void> {
  await recordChunks(tx, productsImported, changes, changes.created ?? [])
  await recordChunks(tx, productsUpdated, changes, changes.updated ?? [])
}

async function recordChunks(
  tx: Tx,
  topic: typeof productsImported,
  { ownerId, source, sourceId }: FeedChanges,
  stored: readonly StoredFeedProduct[],
): Promise<void> {
  let waiting: NewChange<typeof productsImported>[] = []
  for (const products of packProducts(stored)) {
    const data = { ownerId, source, sourceId, products }
    waiting.push({ topic, subjectId: sourceId, actor: ownerId, audience: ['public'], data })
    if (waiting.length < CHANGES_AT_ONCE) continue
    await recordChanges(tx, waiting)
    waiting = []
  }
  await recordChanges(tx, waiting)
}

/** A change holds at most 16 KB and 500 ids; the rest of the data stays well below the difference. */
const PACK_BYTES = 12_000
const PACK_PRODUCTS = 500

/** Cuts a list of products into pieces of which each fits into one change. */
export function* packProducts<T extends { id: string; feedId: string | null }>(products: readonly T[]): Generator<T[]> {
  let pack: T[] = []
  let bytes = 0
  for (const product of products) {
    const size = Buffer.byteLength(JSON.stringify(product)) + 1
    if (pack.length === PACK_PRODUCTS || (pack.length > 0 && bytes + size > PACK_BYTES)) {
      yield pack
      pack = []
      bytes = 0
    }
    pack.push(product)
    bytes += size
  }
  if (pack.length > 0) yield pack
}
