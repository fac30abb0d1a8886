import { recordChange } from '../../../changes/index.ts'
import type { Tx } from '../../../platform/db/db.ts'
import { productAudience } from '../product-visibility.ts'
import type { ProductRow } from './product-rows.ts'
import { productChanged, productCreated, productDeleted, productPublished, productWithdrawn } from './topics.ts'

type Named = Pick<ProductRow, 'id' | 'ownerUserId'>
type Described = Pick<ProductRow, 'id' | 'ownerUserId' | 'state' | 'title' | 'price'>

const TITLE_CHARACTERS = 100

/** All of these are done by the owner. They need the lock of the product, as the changes of one product follow each other. */
async function recordDescribed(tx: Tx, topic: typeof productCreated, product: Described): Promise<void> {
  const { id, ownerUserId, state, title, price } = product
  const start = Array.from(title.slice(0, 2 * TITLE_CHARACTERS)).slice(0, TITLE_CHARACTERS)
  await recordChange(tx, {
    topic,
    subjectId: id,
    actor: ownerUserId,
    audience: productAudience(state, ownerUserId),
    data: { productId: id, ownerId: ownerUserId, title: start.join(''), price },
  })
}

export function recordProductCreated(tx: Tx, product: Described): Promise<void> {
  return recordDescribed(tx, productCreated, product)
}

export function recordProductChanged(tx: Tx, product: Described): Promise<void> {
  return recordDescribed(tx, productChanged, product)
}

export function recordProductPublished(tx: Tx, product: Described): Promise<void> {
  return recordDescribed(tx, productPublished, product)
}

/** Those who saw the product hear of it. */
export async function recordProductWithdrawn(tx: Tx, { id, ownerUserId }: Named): Promise<void> {
  const data = { productId: id, ownerId: ownerUserId }
  await recordChange(tx, { topic: productWithdrawn, subjectId: id, actor: ownerUserId, audience: ['public'], data })
}

export async function recordProductDeleted(tx: Tx, product: Named, from: ProductRow['state']): Promise<void> {
  await recordChange(tx, {
    topic: productDeleted,
    subjectId: product.id,
    actor: product.ownerUserId,
    audience: productAudience(from, product.ownerUserId),
    data: { productId: product.id, ownerId: product.ownerUserId },
  })
}
