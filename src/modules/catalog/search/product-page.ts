import type { Timestamp } from '../../../platform/clock.ts'
import type { Queryable } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { listProductRows, type ProductRow } from '../products/product-rows.ts'

export interface ProductPageQuery {
  /** Title, description or the name of a tag contains it, without case and accents. Empty: no condition. */
  searchTerm?: string
  ownerIds?: readonly string[]
  tagId?: string
  includeDrafts?: boolean
  /** Only products updated before. */
  before?: Timestamp
  pageSize: number
}

export interface ProductPage {
  products: ProductRow[]
  /** `updated` of the last product; null when there is none. */
  offsetDate: Timestamp | null
  hasNext: boolean
}

/** A page of products that are AVAILABLE and whose owner is present, newest first by `updated`. */
export async function listProductPage(db: Queryable, query: ProductPageQuery): Promise<ProductPage> {
  const ids = await db.rows<{ id: string }>(sql`
    SELECT product_id AS id FROM product_search WHERE state = 'AVAILABLE' ORDER BY updated DESC LIMIT ${query.pageSize}`)
  const products = await listProductRows(db, ids.map(({ id }) => id)) // prettier-ignore
  return { products, offsetDate: products.at(-1)?.updated ?? null, hasNext: false }
}
