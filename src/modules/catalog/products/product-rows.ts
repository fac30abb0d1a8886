import type { Timestamp } from '../../../platform/clock.ts'
import type { Queryable } from '../../../platform/db/db.ts'
import { sql, type Sql } from '../../../platform/db/sql.ts'
import { ownerPresent } from '../deleted-owners.ts'
import type { ProductState } from './product-states.ts'

export interface ProductTag {
  id: string
  name: string
  description: string
}

/** A product that is not deleted, as the store shows it. */
export interface ProductRow {
  id: string
  title: string
  description: string
  price: number
  /** Free units by variant. */
  stock: Record<string, number>
  /** No variant has a free unit. */
  soldOut: boolean
  ownerUserId: string
  /** In the order they were attached, without deleted ones. */
  tags: ProductTag[]
  state: Exclude<ProductState, 'DELETED'>
  created: Timestamp
  updated: Timestamp
}

/** Selects `ProductRow`s; a condition on `p` may follow. Stock and tags come with it, so that a page is one statement. */
export const selectProducts: Sql = sql`
  SELECT p.id, p.title, p.description, p.price, p.owner_id AS "ownerUserId", p.state, p.created, p.updated,
    coalesce(s.stock, '{}') AS stock, coalesce(s.sold_out, true) AS "soldOut", coalesce(t.tags, '[]') AS tags
  FROM products p
  LEFT JOIN LATERAL (
    SELECT json_object_agg(variant, quantity ORDER BY variant) AS stock, bool_and(quantity = 0) AS sold_out
    FROM stock_levels WHERE product_id = p.id) s ON true
  LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object('id', tags.id, 'name', tags.name, 'description', tags.description)
      ORDER BY product_tags.place) AS tags
    FROM product_tags JOIN tags ON tags.id = product_tags.tag_id AND tags.deleted IS NULL
    WHERE product_tags.product_id = p.id) t ON true
  WHERE p.state <> 'DELETED' AND ${ownerPresent}`

/** The products with these ids that are neither deleted nor of a deleted user, in the order of the ids, each once. */
export async function listProductRows(db: Queryable, ids: readonly string[]): Promise<ProductRow[]> {
  if (ids.length === 0) return []
  const rows = await db.rows<ProductRow>(sql`${selectProducts} AND p.id = ANY(${ids})`)
  const byId = new Map(rows.map((row) => [row.id, row]))
  return [...new Set(ids.map((id) => id.toLowerCase()))].flatMap((id) => byId.get(id) ?? [])
}
