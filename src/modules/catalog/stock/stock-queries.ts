import { arrayLiteral } from '../../../platform/db/array-literal.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { sql, type Sql } from '../../../platform/db/sql.ts'
import { ownerPresent } from '../deleted-owners.ts'

export interface VariantOf {
  productId: string
  variant: string
}

/** Units of one variant; of several rows no two name the same one. */
export interface Units extends VariantOf {
  quantity: number
}

export interface WantedRow {
  /**
   * Units that are there when these have been taken, negative when there were too few; null when the variant is unknown, or its product
   * deleted, withdrawn or hidden, as is everything else then.
   */
  rest: number | null
  unitPrice: number
  sellerId: string
  title: string
  isBuyerGone: boolean
}

/**
 * Arrays by way of a sub-select: the planner must not see how few they hold, or it takes the plan for unknown ones for dearer and plans every
 * statement anew, which takes three times as long as running it.
 */
function variants(rows: readonly VariantOf[]): Sql {
  const productIds = arrayLiteral(rows.map((row) => row.productId))
  return sql`(SELECT ${productIds}::uuid[]), (SELECT ${arrayLiteral(rows.map((row) => row.variant))}::text[])`
}

/** In the order in which stock is locked. The condition holds for all: with it the planner expects so few rows that it never reads whole tables. */
function units(rows: readonly Units[]): Sql {
  const quantities = arrayLiteral(rows.map((row) => row.quantity))
  return sql`SELECT * FROM unnest(${variants(rows)}, (SELECT ${quantities}::bigint[]))
    WITH ORDINALITY AS given (product_id, variant, quantity, place) WHERE quantity > 0 ORDER BY product_id, variant`
}

/** The stock of one of the `units`, locked when its turn comes: joined LATERAL, it is looked up row by row, in the order of the rows. */
function lockedStockOf(row: Sql): Sql {
  return sql`(
    SELECT quantity FROM stock_levels WHERE product_id = ${row}.product_id AND variant = ${row}.variant FOR UPDATE)`
}

/**
 * Takes the units if all of them are free, else none; one row for each that was wanted, in the given order. Whoever changes stock locks its
 * rows in the order of product and variant, so nobody waits in a circle. A row that was waited for is read by FOR UPDATE as it is then, not
 * as it was when the statement began: of two buyers of the last unit the second finds none. The new value must be made of what was read
 * there; made of the row to be updated it would first be made of the old one, and that be refused.
 *
 * A buyer who is given is locked before all else, as a deletion does it: either the deletion waits and finds what was bought, or there is no
 * such user any more, and `isBuyerGone`.
 */
export function takeUnits(tx: Tx, wanted: readonly Units[], buyerId?: string): Promise<WantedRow[]> {
  const isBuyerThere = sql`EXISTS (SELECT FROM buyer)`
  return tx.rows<WantedRow>(sql`
    WITH wanted AS MATERIALIZED (${units(wanted)}
    ), buyer AS MATERIALIZED (
      ${buyerId === undefined ? sql`SELECT` : sql`SELECT FROM users WHERE id = ${buyerId} AND deleted IS NULL FOR SHARE`}
    ), locked AS MATERIALIZED (
      SELECT w.place, w.product_id, w.variant, s.quantity - w.quantity AS rest, p.price, p.owner_id, p.title
      FROM wanted w, LATERAL ${lockedStockOf(sql`w`)} s, LATERAL (
        SELECT price, owner_id, title FROM products
        WHERE id = w.product_id AND state = 'AVAILABLE' AND ${ownerPresent} OFFSET 0) p
      WHERE ${isBuyerThere}
    ), taken AS (
      UPDATE stock_levels s SET quantity = l.rest FROM locked l
      WHERE s.product_id = l.product_id AND s.variant = l.variant
        AND (SELECT count(*) FILTER (WHERE rest >= 0) FROM locked) = (SELECT count(*) FROM wanted)
    )
    SELECT l.rest, l.price AS "unitPrice", l.owner_id AS "sellerId", l.title, NOT ${isBuyerThere} AS "isBuyerGone"
    FROM wanted w LEFT JOIN locked l USING (place) ORDER BY w.place`)
}

export interface RestockedRow extends VariantOf {
  sellerId: string
  state: 'AVAILABLE' | 'DRAFT'
}

/** Adds the units to the variants that are left, in the same lock order; returns those that had none. */
export function addUnits(tx: Tx, given: readonly Units[]): Promise<RestockedRow[]> {
  return tx.rows<RestockedRow>(sql`
    WITH given AS MATERIALIZED (${units(given)}
    ), locked AS MATERIALIZED (
      SELECT g.product_id, g.variant, s.quantity AS before, g.quantity, p.owner_id, p.state
      FROM given g, LATERAL ${lockedStockOf(sql`g`)} s, LATERAL (
        SELECT owner_id, state FROM products WHERE id = g.product_id AND state <> 'DELETED' OFFSET 0) p
    ), added AS (
      UPDATE stock_levels s SET quantity = least(l.before + l.quantity, 2147483647)
      FROM locked l WHERE s.product_id = l.product_id AND s.variant = l.variant
    )
    SELECT product_id AS "productId", variant, owner_id AS "sellerId", state
    FROM locked WHERE before = 0 AND quantity > 0`)
}

export interface OfferRow {
  title: string | null
  price: number | null
  sellerId: string | null
  /** Null when the product cannot be ordered or has no such variant. */
  available: number | null
}

/**
 * The rows of a query that has the columns `"productId"` and `variant`, each with the columns of an OfferRow. Products and stock are looked up
 * row by row: so few that no whole table is worth reading, which the planner cannot know of a small catalogue.
 */
export function withOffers(rows: Sql): Sql {
  return sql`
    SELECT wanted.*, p.title, p.price, p.owner_id AS "sellerId", s.quantity AS available
    FROM (${rows}) wanted
    LEFT JOIN LATERAL (
      SELECT title, price, owner_id, state = 'AVAILABLE' AND ${ownerPresent} AS is_orderable
      FROM products WHERE id = wanted."productId" OFFSET 0) p ON true
    LEFT JOIN LATERAL (
      SELECT quantity FROM stock_levels
      WHERE p.is_orderable AND product_id = wanted."productId" AND variant = wanted.variant OFFSET 0) s ON true`
}

/** One row per pair, in the given order. */
export function listOffers(db: Queryable, pairs: readonly VariantOf[]): Promise<OfferRow[]> {
  const given = sql`
    SELECT product_id AS "productId", variant, place
    FROM unnest(${variants(pairs)}) WITH ORDINALITY AS given (product_id, variant, place)`
  return db.rows<OfferRow>(sql`${withOffers(given)} ORDER BY place`)
}

export interface MovedVariant {
  variant: string
  before: number
  after: number
}

/**
 * Gives a product, which the caller has locked, these variants and no others, in the same lock order while buyers go on taking units;
 * returns the variants that it had before and has still.
 */
export function setUnits(tx: Tx, productId: string, stock: Readonly<Record<string, number>>): Promise<MovedVariant[]> {
  return tx.rows<MovedVariant>(sql`
    WITH wanted AS MATERIALIZED (
      SELECT * FROM unnest(${arrayLiteral(Object.keys(stock))}::text[], ${arrayLiteral(Object.values(stock))}::integer[])
        AS given (variant, quantity)
    ), locked AS MATERIALIZED (
      SELECT variant, quantity FROM stock_levels WHERE product_id = ${productId} ORDER BY variant FOR UPDATE
    ), removed AS (
      DELETE FROM stock_levels s USING locked
      WHERE s.product_id = ${productId} AND s.variant = locked.variant AND s.variant NOT IN (SELECT variant FROM wanted)
    ), changed AS (
      UPDATE stock_levels s SET quantity = wanted.quantity
      FROM locked JOIN wanted USING (variant)
      WHERE s.product_id = ${productId} AND s.variant = wanted.variant AND locked.quantity <> wanted.quantity
    ), added AS (
      INSERT INTO stock_levels (product_id, variant, quantity)
      SELECT ${productId}::uuid, variant, quantity FROM wanted WHERE variant NOT IN (SELECT variant FROM locked)
    )
    SELECT variant, locked.quantity AS before, wanted.quantity AS after FROM locked JOIN wanted USING (variant)`)
}
