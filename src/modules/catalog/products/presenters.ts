import type { Static } from 'typebox'

import type { ProductRow } from './product-rows.ts'
import type { productSchema } from './schemas.ts'

/** The product object of the store contract, section 3. */
export function presentProduct(row: ProductRow): Static<typeof productSchema> {
  const { id, title, description, price, stock, ownerUserId, tags, state, soldOut, created, updated } = row
  return {
    id,
    title,
    description,
    price,
    stock,
    owner_user_id: ownerUserId,
    tags,
    state,
    sold_out: soldOut,
    created,
    updated,
  }
}
