import { recordChanges } from '../../../changes/index.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { productAudience } from '../product-visibility.ts'
import { productRestocked, productSoldOut } from './topics.ts'

export interface ChangedVariant {
  productId: string
  variant: string
  sellerId: string
  /** Default: `AVAILABLE`. */
  state?: 'AVAILABLE' | 'DRAFT'
}

/** Records that these variants have given their last unit; their stock rows must be locked. */
export async function recordSoldOut(tx: Tx, variants: readonly ChangedVariant[]): Promise<void> {
  await recordVariants(tx, productSoldOut, variants)
}

/** Records that these variants have units again; their stock rows must be locked. */
export async function recordRestocked(tx: Tx, variants: readonly ChangedVariant[]): Promise<void> {
  await recordVariants(tx, productRestocked, variants)
}

/** Nobody is named as the actor: who buys is nobody's business but the seller's. */
async function recordVariants(
  tx: Tx,
  topic: typeof productSoldOut,
  variants: readonly ChangedVariant[],
): Promise<void> {
  const changes = variants.map(({ productId, variant, sellerId, state = 'AVAILABLE' }) => ({
    topic,
    subjectId: productId,
    actor: null,
    audience: productAudience(state, sellerId),
    data: { productId, ownerId: sellerId, variant },
  }))
  await recordChanges(tx, changes)
}
