import type { Timestamp } from '../../platform/clock.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import type { TakenLine } from '../catalog/index.ts'
import { linesOf, type Order } from './order-queries.ts'

/** What one seller sees of an order. */
export interface SaleRow extends Pick<Order, 'customerId' | 'state' | 'confirmBefore' | 'created' | 'updated'> {
  orderId: string
  subtotal: number
  /** The seller's own. */
  lines: TakenLine[]
}

const saleColumns = sql`o.id AS "orderId", o.customer_id AS "customerId", o.state, o.confirm_before AS "confirmBefore",
  o.created, o.updated, s.subtotal, ${linesOf(sql`AND l.seller_id = s.seller_id`)} AS lines`

/** A seller's sales placed before the given time, newest first: `limit` of them and those that share the time of the last one. */
export function listSales(
  db: Queryable,
  sellerId: string,
  { before, limit }: { before: Timestamp | undefined; limit: number },
): Promise<SaleRow[]> {
  // The page is cut before the orders are looked at, so that no plan can read more of them than it shows.
  return db.rows<SaleRow>(sql`
    SELECT ${saleColumns} FROM (
      SELECT * FROM sales WHERE seller_id = ${sellerId} AND created < ${before ?? 'infinity'}::timestamptz
      ORDER BY created DESC FETCH FIRST ${limit} ROWS WITH TIES
    ) s JOIN orders o ON o.id = s.order_id AND o.deleted IS NULL
    ORDER BY s.created DESC, o.id DESC`)
}

export function findSale(db: Queryable, sellerId: string, orderId: string): Promise<SaleRow | undefined> {
  return db.row<SaleRow>(sql`
    SELECT ${saleColumns} FROM sales s JOIN orders o ON o.id = s.order_id
    WHERE s.order_id = ${orderId} AND s.seller_id = ${sellerId} AND o.deleted IS NULL`)
}
