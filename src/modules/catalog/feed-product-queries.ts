import { join, raw, sql, type Sql } from '../../platform/db/sql.ts'
import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import type { Timestamp } from '../../platform/clock.ts'
import { feedColumns } from './feed-columns.ts'
import { arrayLiteral, type ArrayElement } from '../../platform/db/array-literal.ts'
import type { FeedProduct } from './feed/feed-item.ts'
import { countChanges, listed } from './product-counts.ts'
import { ownerPresent } from './deleted-owners.ts'
import { documentText } from './search/fold.ts'

export interface StoredFeedProduct {
  id: string
  feedId: string
}

/** A feed product about to be stored; `place` is its place in the feed, which spreads the times. */
export interface NewFeedProduct {
  id: string
  place: number
  product: FeedProduct
}

const columnNames = feedColumns.map((column) => column.column)
const columns = raw(columnNames.join(', '))
const newValues = raw(columnNames.map((name) => `n.${name}`).join(', '))
const oldValues = raw(columnNames.map((name) => `p.${name}`).join(', '))
const assignments = raw(columnNames.map((name) => `${name} = n.${name}`).join(', '))

/** The price of the product: the lowest that the feed names (contracts/README.md, decision 1). */
export function lowestPrice(product: FeedProduct): number {
  return Math.min(product.price, product.salePrice ?? product.price, product.finalPrice ?? product.price)
}

/** The products as a relation with one column per stored field; one array per column keeps the text the same for every number of rows. */
function incoming(rows: readonly NewFeedProduct[]): Sql {
  const array = (valueOf: (row: NewFeedProduct) => ArrayElement): string => arrayLiteral(rows.map(valueOf))
  const arrays = feedColumns.map(({ key, type }) => sql`${array((row) => row.product[key])}::${raw(type)}[]`)
  return sql`
    SELECT * FROM unnest(
      ${array((row) => row.id)}::uuid[], ${array((row) => row.place)}::integer[],
      ${array((row) => lowestPrice(row.product))}::bigint[], ${array((row) => row.product.quantity)}::integer[],
      ${array((row) => documentText(row.product))}::text[], ${join(arrays)}
    ) WITH ORDINALITY AS n (id, place, price, quantity, document, ${columns}, ordinal)`
}

/** Those of the feed ids that a product bears. */
export async function listTakenFeedIds(tx: Tx, rows: readonly NewFeedProduct[]): Promise<string[]> {
  const feedIds = arrayLiteral(rows.map((row) => row.product.feedId))
  const taken = await tx.rows<{ feedId: string }>(sql`
    SELECT feed_id AS "feedId" FROM products
    WHERE feed_id = ANY(${feedIds}::text[]) AND feed_id IS NOT NULL AND state <> 'DELETED'`)
  return taken.map((row) => row.feedId)
}

export interface LockedFeedProduct extends StoredFeedProduct {
  ownerId: string
}

/** Locks the stored products that bear these feed ids, in one order for every caller. */
export async function lockByFeedIds(tx: Tx, feedIds: readonly string[]): Promise<LockedFeedProduct[]> {
  return tx.rows<LockedFeedProduct>(sql`
    SELECT id, feed_id AS "feedId", owner_id AS "ownerId" FROM products
    WHERE feed_id = ANY(${feedIds}) AND feed_id IS NOT NULL AND state <> 'DELETED'
    ORDER BY feed_id FOR NO KEY UPDATE`)
}

/**
 * Locks the stock of products that the caller has locked, in the order of everybody who takes units: batches of one update go by feed id, and
 * an order over products of two batches would wait in a circle with them.
 */
export async function lockStock(tx: Tx, productIds: readonly string[]): Promise<void> {
  await tx.run(sql`
    SELECT 1 FROM stock_levels WHERE product_id = ANY(${productIds}::uuid[]) ORDER BY product_id, variant FOR UPDATE`)
}

/** Writes the new values into products that the caller has locked, and their stock; returns the ids of those that differed. */
export async function updateRows(tx: Tx, rows: readonly NewFeedProduct[], now: Timestamp): Promise<string[]> {
  const changed = await tx.rows<{ id: string }>(sql`
    WITH n AS MATERIALIZED (${incoming(rows)}
    ), before AS MATERIALIZED (
      SELECT p.id, p.condition, p.gender, p.brand, p.state, s.quantity,
        (n.price, ${newValues}) IS DISTINCT FROM (p.price, ${oldValues}) AS differs
      FROM n JOIN products p ON p.id = n.id
      LEFT JOIN stock_levels s ON s.product_id = p.id AND s.variant = 'default'
    ), restocked AS (
      INSERT INTO stock_levels (product_id, variant, quantity)
      SELECT n.id, 'default', n.quantity FROM n JOIN before USING (id)
      WHERE before.quantity IS DISTINCT FROM n.quantity ORDER BY n.id
      ON CONFLICT (product_id, variant) DO UPDATE SET quantity = excluded.quantity
      RETURNING product_id
    ), touched AS MATERIALIZED (
      SELECT id FROM before WHERE differs UNION SELECT product_id FROM restocked
    ), updated AS (
      UPDATE products p
      SET price = n.price, updated = ${now}::timestamptz + n.place * interval '1 microsecond', ${assignments}
      FROM n JOIN touched USING (id) WHERE p.id = n.id
      RETURNING p.id, p.condition, p.gender, p.brand, p.state, p.updated
    ), searchable AS (
      UPDATE product_search s SET updated = updated.updated, price = n.price, brand = n.brand, condition = n.condition,
        gender = n.gender, text = n.document, words = CASE
          WHEN (s.text, s.brand, s.condition, s.gender) IS NOT DISTINCT FROM (n.document, n.brand, n.condition, n.gender)
          THEN s.words END
      FROM n JOIN updated USING (id) WHERE s.product_id = n.id
    ), counted AS (${countChanges(sql`(
      SELECT condition, gender, brand, 1 AS change FROM updated WHERE state = 'AVAILABLE'
      UNION ALL
      SELECT condition, gender, brand, -1 FROM before JOIN touched USING (id) WHERE state = 'AVAILABLE') moved`)}
    )
    SELECT id FROM updated`)
  return changed.map((row) => row.id)
}

/**
 * Tells the planner what the tables hold now. Plans that were made and kept while a table was small read it from end to end; they are made
 * again after this, and the server's own look comes only once a minute.
 */
export async function refreshStatistics(db: Db): Promise<void> {
  await db.run(
    sql`ANALYZE products (feed_id, title, regular_price, brand, condition, gender, owner_id, state), stock_levels,
      product_search (owner_id, state, updated, brand, condition, gender)`,
  )
}

const selected = raw(feedColumns.map(({ key, column }) => `p.${column} AS "${key}"`).join(', '))

/** The listed feed products after a feed id, by feed id; of more units in all variants than a feed may name, as many as it may. */
export async function listAfterFeedId(
  db: Queryable,
  { after, ownerId, limit }: { after: string; ownerId?: string | undefined; limit: number },
): Promise<FeedProduct[]> {
  const owned = ownerId === undefined ? sql`true` : sql`p.owner_id = ${ownerId}`
  return db.rows<FeedProduct>(sql`
    SELECT ${selected}, (
      SELECT least(coalesce(sum(quantity), 0), 2147483647)::bigint FROM stock_levels WHERE product_id = p.id) AS quantity
    FROM products p
    WHERE p.feed_id > ${after} AND ${listed}
      AND ${owned} AND ${ownerPresent}
    ORDER BY p.feed_id LIMIT ${limit}`)
}
