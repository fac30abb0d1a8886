import type { Timestamp } from '../../../platform/clock.ts'
import { arrayLiteral } from '../../../platform/db/array-literal.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { empty, sql, type Sql } from '../../../platform/db/sql.ts'
import { ownerPresent } from '../deleted-owners.ts'
import { countChanges } from '../product-counts.ts'
import type { ProductRow, ProductTag } from './product-rows.ts'
import type { ProductState } from './product-states.ts'

export interface NewProduct {
  id: string
  ownerId: string
  title: string
  description: string
  price: number
  stock: Record<string, number>
  tagIds: readonly string[]
  state: ProductRow['state']
}

/** Inserts the product with its stock and tags; returns the tags, without those that are unknown or deleted. */
export async function insertProduct(tx: Tx, product: NewProduct, now: Timestamp): Promise<ProductTag[]> {
  const { id, ownerId, title, description, price, stock, tagIds, state } = product
  return tx.rows<ProductTag>(sql`
    WITH found AS MATERIALIZED (
      SELECT tags.id, tags.name, tags.description, given.place
      FROM unnest(${arrayLiteral(tagIds)}::uuid[]) WITH ORDINALITY AS given (id, place)
      JOIN tags ON tags.id = given.id AND tags.deleted IS NULL
    ), inserted AS (
      INSERT INTO products (id, owner_id, title, description, price, state, created, updated)
      VALUES (${id}, ${ownerId}, ${title}, ${description}, ${price}, ${state}, ${now}, ${now})
    ), stocked AS (
      INSERT INTO stock_levels (product_id, variant, quantity)
      SELECT ${id}::uuid, variant, quantity
      FROM unnest(${arrayLiteral(Object.keys(stock))}::text[], ${arrayLiteral(Object.values(stock))}::integer[])
        AS given (variant, quantity)
    ), tagged AS (
      INSERT INTO product_tags (product_id, tag_id, place) SELECT ${id}::uuid, id, place FROM found
    )
    SELECT id, name, description FROM found ORDER BY place`)
}

/** How many of the tags exist and are not deleted. */
export async function countTags(db: Queryable, ids: readonly string[]): Promise<number> {
  const row = await db.row<{ count: number }>(sql`
    SELECT count(*) AS count FROM tags WHERE id = ANY(${arrayLiteral(ids)}::uuid[]) AND deleted IS NULL`)
  return row?.count ?? 0
}

export interface LockedProduct {
  id: string
  ownerId: string
  state: ProductRow['state']
  title: string
  price: number
  isOfFeed: boolean
}

/** Everybody who changes a product, its stock as a whole or its tags holds this lock. Taking units does not need it. */
export async function lockProduct(tx: Tx, id: string): Promise<LockedProduct | undefined> {
  return tx.row<LockedProduct>(sql`
    SELECT id, owner_id AS "ownerId", state, title, price, feed_id IS NOT NULL AS "isOfFeed" FROM products
    WHERE id = ${id} AND state <> 'DELETED' AND ${ownerPresent} FOR NO KEY UPDATE`)
}

/** Members that are absent keep their value; stock is replaced by `replaceStock`. */
export interface ProductPatch {
  title?: string | undefined
  description?: string | undefined
  price?: number | undefined
  tagIds?: readonly string[] | undefined
}

/**
 * Writes what the patch names into a locked product. Of a product of a feed a new price becomes the price of the feed, and the feed's sale
 * and final price go where they are lower: they would otherwise still be the price (contracts/README.md, decision 1).
 */
export async function saveProduct(tx: Tx, id: string, patch: ProductPatch, now: Timestamp): Promise<void> {
  const { title = null, description = null, price = null, tagIds } = patch
  await tx.run(sql`
    WITH ${tagIds === undefined ? empty : tagsReplaced(id, tagIds)} given (price) AS (VALUES (${price}::bigint))
    UPDATE products p SET
      title = coalesce(${title}, p.title), description = coalesce(${description}, p.description),
      price = coalesce(given.price, p.price), updated = ${laterThan(now)},
      regular_price = CASE WHEN p.feed_id IS NULL OR given.price = p.price THEN p.regular_price
        ELSE coalesce(given.price, p.regular_price) END,
      sale_price = CASE WHEN p.sale_price < given.price AND given.price <> p.price THEN NULL ELSE p.sale_price END,
      final_price = CASE WHEN p.final_price < given.price AND given.price <> p.price THEN NULL ELSE p.final_price END
    FROM given WHERE p.id = ${id}`)
}

function tagsReplaced(id: string, tagIds: readonly string[]): Sql {
  const tags = arrayLiteral(tagIds)
  return sql`
    untagged AS (
      DELETE FROM product_tags WHERE product_id = ${id} AND tag_id <> ALL(${tags}::uuid[])
    ), tagged AS (
      INSERT INTO product_tags (product_id, tag_id, place)
      SELECT ${id}::uuid, tag_id, place FROM unnest(${tags}::uuid[]) WITH ORDINALITY AS given (tag_id, place)
      ON CONFLICT (product_id, tag_id) DO UPDATE SET place = excluded.place
    ),`
}

/** Of two changes the one that waited carries the later time, whichever came first. */
function laterThan(now: Timestamp): Sql {
  return sql`greatest(${now}::timestamptz, p.updated + interval '1 microsecond')`
}

/** Moves a locked product into another state that is not the last, and counts it in or out of the list of its feed. */
export async function saveProductState(tx: Tx, id: string, state: ProductRow['state'], now: Timestamp): Promise<void> {
  const change = state === 'AVAILABLE' ? 1 : -1
  await tx.run(sql`
    WITH moved AS (
      UPDATE products p SET state = ${state}, updated = ${laterThan(now)} WHERE p.id = ${id}
      RETURNING feed_id, condition, gender, brand
    ) ${countMoved(change)}`)
}

/** Deletes a locked product and its stock; its links to tags stay. */
export async function markProductDeleted(tx: Tx, id: string, from: ProductState, now: Timestamp): Promise<void> {
  await tx.run(sql`
    WITH moved AS (
      UPDATE products p SET state = 'DELETED', deleted = ${laterThan(now)}, updated = ${laterThan(now)} WHERE p.id = ${id}
      RETURNING feed_id, condition, gender, brand
    ), locked AS MATERIALIZED (
      SELECT variant FROM stock_levels WHERE product_id = ${id} ORDER BY variant FOR UPDATE
    ), unstocked AS (
      DELETE FROM stock_levels s USING locked WHERE s.product_id = ${id} AND s.variant = locked.variant
    ) ${countMoved(from === 'AVAILABLE' ? -1 : 0)}`)
}

function countMoved(change: number): Sql {
  return countChanges(sql`(
    SELECT condition, gender, brand, ${change}::integer AS change FROM moved WHERE feed_id IS NOT NULL) listed`)
}
