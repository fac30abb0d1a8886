import type { Timestamp } from '../../../platform/clock.ts'
import { arrayLiteral } from '../../../platform/db/array-literal.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import { withOffers, type OfferRow } from '../../catalog/index.ts'
import type { BagState } from './bag-states.ts'

/** An open bag. */
export interface BagRow {
  id: string
  state: BagState
  created: Timestamp
  updated: Timestamp
}

export interface LineRow {
  id: string
  productId: string
  variant: string
  quantity: number
}

export type NewLine = Omit<LineRow, 'id'>

/** A line with what the catalogue offers for it, of one snapshot. */
export type OfferedLine = LineRow & OfferRow

export interface BagOpening {
  /** Of the bag if a new one is made. */
  id: string
  ownerId: string
  now: Timestamp
}

const bagColumns = sql`b.id, b.state, b.created, b.updated`
const lineColumns = sql`id, product_id AS "productId", variant, quantity, place`

/** The open bag with its lines and what they are now, in one snapshot. */
export function findBag(db: Queryable, ownerId: string): Promise<(BagRow & { lines: OfferedLine[] }) | undefined> {
  return db.row(sql`
    SELECT ${bagColumns}, coalesce((
      SELECT json_agg(line ORDER BY place)
      FROM (${withOffers(sql`SELECT ${lineColumns} FROM bag_items WHERE bag_id = b.id`)}) line), '[]') AS lines
    FROM bags b WHERE b.owner_id = ${ownerId} AND b.state = 'OPEN'`)
}

/**
 * Locks the open bag, making one if there is none; undefined when the user is deleted. It waits for another transaction that has the bag,
 * and what it returns is what that one left.
 */
export function openAndLockBag(tx: Tx, { id, ownerId, now }: BagOpening): Promise<BagRow | undefined> {
  return tx.row<BagRow>(sql`
    INSERT INTO bags AS b (id, owner_id, state, created, updated) VALUES (${id}, ${ownerId}, 'OPEN', ${now}, ${now})
    ON CONFLICT (owner_id) WHERE state = 'OPEN' OR is_last
    DO UPDATE SET updated = EXCLUDED.updated WHERE b.state = 'OPEN' RETURNING ${bagColumns}`)
}

/** Locks the open bag; undefined when there is none. */
export function lockBag(tx: Tx, ownerId: string, now: Timestamp): Promise<BagRow | undefined> {
  return tx.row<BagRow>(sql`
    UPDATE bags b SET updated = ${now} WHERE b.owner_id = ${ownerId} AND b.state = 'OPEN' RETURNING ${bagColumns}`)
}

/** Ends the open bag; undefined when there is none. */
export async function endBag(
  tx: Tx,
  ownerId: string,
  state: Exclude<BagState, 'OPEN'>,
  now: Timestamp,
): Promise<{ id: string } | undefined> {
  const deleted = state === 'DISCARDED' ? now : null
  return tx.row(sql`
    UPDATE bags SET state = ${state}, updated = ${now}, deleted = ${deleted}
    WHERE owner_id = ${ownerId} AND state = 'OPEN' RETURNING id`)
}

/**
 * Discards the open bag of a user and lets no other be opened. A user who has none gets one that is discarded already: it makes a
 * request that is just opening the first bag wait here, and then find the place taken.
 */
export async function endLastBag(tx: Tx, ownerId: string, newId: string): Promise<string> {
  const row = await tx.row<{ id: string }>(sql`
    INSERT INTO bags (id, owner_id, state, is_last, created, updated, deleted)
    VALUES (${newId}, ${ownerId}, 'DISCARDED', true, now(), now(), now())
    ON CONFLICT (owner_id) WHERE state = 'OPEN' OR is_last
    DO UPDATE SET state = 'DISCARDED', is_last = true, updated = now(), deleted = now() RETURNING id`)
  return row!.id
}

export function listLines(db: Queryable, bagId: string): Promise<LineRow[]> {
  return db.rows<LineRow>(sql`SELECT ${lineColumns} FROM bag_items WHERE bag_id = ${bagId} ORDER BY place`)
}

/** Adds to the line of this variant, or a new line at the end. Returns every line of the bag, which must be locked. */
export function addLine(tx: Tx, bagId: string, line: LineRow & { created: Timestamp }): Promise<OfferedLine[]> {
  return tx.rows<OfferedLine>(sql`
    WITH added AS (
      INSERT INTO bag_items (id, bag_id, product_id, variant, quantity, place, created)
      SELECT ${line.id}, ${bagId}, ${line.productId}, ${line.variant}, ${line.quantity}, coalesce(max(place), 0) + 1, ${line.created}
      FROM bag_items WHERE bag_id = ${bagId}
      ON CONFLICT ON CONSTRAINT bag_items_line_key DO UPDATE SET quantity = bag_items.quantity + EXCLUDED.quantity
      RETURNING ${lineColumns}
    )
    ${withOffers(sql`
      SELECT * FROM added
      UNION ALL
      SELECT ${lineColumns} FROM bag_items WHERE bag_id = ${bagId} AND id NOT IN (SELECT id FROM added)`)}
    ORDER BY place`)
}

/** Leaves exactly these lines, of which no two name the same variant, in this order; a line that was there keeps its id. */
export function replaceLines(tx: Tx, bagId: string, lines: readonly LineRow[], now: Timestamp): Promise<OfferedLine[]> {
  const column = (name: keyof LineRow): string => arrayLiteral(lines.map((line) => line[name]))
  return tx.rows<OfferedLine>(sql`
    WITH given AS (
      SELECT * FROM unnest(${column('id')}::uuid[], ${column('productId')}::uuid[], ${column('variant')}::text[],
        ${column('quantity')}::integer[]) WITH ORDINALITY AS given (id, product_id, variant, quantity, place)
    ), dropped AS (
      DELETE FROM bag_items i WHERE bag_id = ${bagId}
        AND NOT EXISTS (SELECT FROM given g WHERE g.product_id = i.product_id AND g.variant = i.variant)
    ), kept AS (
      INSERT INTO bag_items (id, bag_id, product_id, variant, quantity, place, created)
      SELECT id, ${bagId}, product_id, variant, quantity, place, ${now} FROM given
      ON CONFLICT ON CONSTRAINT bag_items_line_key DO UPDATE SET quantity = EXCLUDED.quantity, place = EXCLUDED.place
      RETURNING ${lineColumns}
    )
    ${withOffers(sql`SELECT * FROM kept`)} ORDER BY place`)
}

/** Every line of the bag after the change; undefined when it has no such line. */
export async function updateLine(
  tx: Tx,
  bagId: string,
  itemId: string,
  quantity: number,
): Promise<OfferedLine[] | undefined> {
  const rows = await tx.rows<OfferedLine>(sql`
    WITH changed AS (
      UPDATE bag_items SET quantity = ${quantity} WHERE id = ${itemId} AND bag_id = ${bagId} RETURNING ${lineColumns}
    )
    ${withOffers(sql`
      SELECT * FROM changed
      UNION ALL
      SELECT ${lineColumns} FROM bag_items WHERE bag_id = ${bagId} AND id <> ${itemId}`)}
    ORDER BY place`)
  return rows.some((row) => row.id === itemId.toLowerCase()) ? rows : undefined
}

/** The number of lines that are left; undefined when the bag has no such line. */
export async function deleteLine(tx: Tx, bagId: string, itemId: string): Promise<number | undefined> {
  const row = await tx.row<{ left: number; deleted: number }>(sql`
    WITH deleted AS (DELETE FROM bag_items WHERE id = ${itemId} AND bag_id = ${bagId} RETURNING id)
    SELECT (SELECT count(*) FROM bag_items WHERE bag_id = ${bagId}) - count(*) AS left, count(*) AS deleted FROM deleted`)
  return row === undefined || row.deleted === 0 ? undefined : row.left
}
