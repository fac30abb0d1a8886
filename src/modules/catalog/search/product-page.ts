import type { Timestamp } from '../../../platform/clock.ts'
import type { Db } from '../../../platform/db/db.ts'
import type { ProductRow } from '../products/product-rows.ts'
import type { ProductFilter } from './product-filter.ts'
import { listNewest } from './product-matches.ts'

export interface ProductPageQuery extends ProductFilter {
  pageSize: number
}

export interface ProductPage {
  products: ProductRow[]
  /** `updated` of the last product; null when there is none. */
  offsetDate: Timestamp | null
  hasNext: boolean
}

/** A page of products that are AVAILABLE and whose owner is present, newest first by `updated`. */
export async function listProductPage(db: Db, { pageSize, ...filter }: ProductPageQuery): Promise<ProductPage> {
  const { rows, offsetDate, hasNext } = await listNewest(db, filter, pageSize)
  return { products: rows, offsetDate, hasNext }
}
