import { recordChanges } from '../../changes/index.ts'
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

/** Records what a feed has done to the catalogue: a change per chunk of products, in the given order. */
export async function recordFeedChanges(tx: Tx, changes: FeedChanges): Promise<void> {
  const { ownerId, source, sourceId, created = [], updated = [] } = changes
  const changesOf = (topic: typeof productsImported, products: readonly StoredFeedProduct[]) =>
    packProducts(products).map((pack) => ({
      topic,
      subjectId: sourceId,
      actor: ownerId,
      audience: ['public' as const],
      data: { ownerId, source, sourceId, products: pack },
    }))
  await recordChanges(tx, [...changesOf(productsImported, created), ...changesOf(productsUpdated, updated)])
}

/** A change holds at most 16 KB and 500 ids; the rest of the data stays well below the difference. */
const PACK_BYTES = 12_000
const PACK_PRODUCTS = 500

/** Cuts a list of products into pieces of which each fits into one change. */
export function packProducts<T extends { id: string; feedId: string | null }>(products: readonly T[]): T[][] {
  const packs: T[][] = []
  let pack: T[] = []
  let bytes = 0
  for (const product of products) {
    const size = Buffer.byteLength(JSON.stringify(product)) + 1
    if (pack.length === PACK_PRODUCTS || (pack.length > 0 && bytes + size > PACK_BYTES)) {
      packs.push(pack)
      pack = []
      bytes = 0
    }
    pack.push(product)
    bytes += size
  }
  if (pack.length > 0) packs.push(pack)
  return packs
}
