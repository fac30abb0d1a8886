import type { Timestamp } from '../../platform/clock.ts'
import { arrayLiteral } from '../../platform/db/array-literal.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import { empty, sql, type Sql } from '../../platform/db/sql.ts'
import { newId } from '../../platform/ids.ts'
import type { TakenLine } from '../catalog/index.ts'
import type { OrderState } from './order-states.ts'
import type { PaymentMethod, PaymentStatus } from './payment-queries.ts'

export interface Order {
  id: string
  customerId: string
  /** As stored; `asOf` says what it reads at a given time. */
  state: OrderState
  total: number
  confirmBefore: Timestamp
  payment: { method: PaymentMethod; status: PaymentStatus } | null
  /** In the order given by the customer. */
  lines: TakenLine[]
  created: Timestamp
  updated: Timestamp
}

/** What the rules need of an order before they let anybody touch it. */
export type OrderHead = Pick<Order, 'id' | 'customerId' | 'state' | 'total' | 'confirmBefore'>

const headColumns = sql`o.id, o.customer_id AS "customerId", o.state, o.total, o.confirm_before AS "confirmBefore"`

/** Lines as JSON, so that an order with all of its lines is one row; prices of orders are within what JSON numbers hold. */
export function linesOf(condition: Sql = empty): Sql {
  return sql`(
    SELECT json_agg(json_build_object('productId', l.product_id, 'variant', l.variant, 'quantity', l.quantity,
      'unitPrice', l.unit_price, 'sellerId', l.seller_id, 'title', l.title) ORDER BY l.place)
    FROM order_lines l WHERE l.order_id = o.id ${condition})`
}

const orderColumns = sql`${headColumns}, o.created, o.updated, ${linesOf()} AS lines,
  (SELECT json_build_object('method', p.method, 'status', p.status) FROM payments p WHERE p.order_id = o.id) AS payment`

/** Writes an order, its lines and what each seller will find, in one statement that is sent with the commit. */
export function insertOrder(tx: Tx, order: Order): void {
  const { id, customerId, state, total, confirmBefore, created, lines } = order
  const column = (of: (line: TakenLine) => string | number): string => arrayLiteral(lines.map(of))
  tx.withCommit(
    () => sql`
    WITH o AS (
      INSERT INTO orders (id, customer_id, state, total, confirm_before, created, updated)
      VALUES (${id}, ${customerId}, ${state}, ${total}, ${confirmBefore}, ${created}, ${created})
    ), line AS MATERIALIZED (
      SELECT * FROM unnest(${column(() => newId())}::uuid[], ${column((line) => line.productId)}::uuid[],
        ${column((line) => line.variant)}::text[], ${column((line) => line.quantity)}::int[],
        ${column((line) => line.unitPrice)}::bigint[], ${column((line) => line.sellerId)}::uuid[],
        ${column((line) => line.title)}::text[])
        WITH ORDINALITY AS line (id, product_id, variant, quantity, unit_price, seller_id, title, place)
    ), written AS (
      INSERT INTO order_lines (id, order_id, product_id, variant, quantity, unit_price, seller_id, title, place)
      SELECT id, ${id}, product_id, variant, quantity, unit_price, seller_id, title, place FROM line
    )
    INSERT INTO sales (order_id, seller_id, created, subtotal)
    SELECT ${id}, seller_id, ${created}, sum(unit_price * quantity) FROM line GROUP BY seller_id`,
  )
}

export function findOrder(db: Queryable, id: string): Promise<Order | undefined> {
  return db.row<Order>(sql`SELECT ${orderColumns} FROM orders o WHERE o.id = ${id} AND o.deleted IS NULL`)
}

/** Those of the orders that there are, by id. */
export function listOrders(db: Queryable, ids: readonly string[]): Promise<Order[]> {
  return db.rows<Order>(sql`SELECT ${orderColumns} FROM orders o WHERE o.id = ANY(${ids}::uuid[]) ORDER BY o.id`)
}

/** A customer's orders placed after the given time, oldest first: `limit` of them and those that share the time of the last one. */
export function listOrdersOfCustomer(
  db: Queryable,
  customerId: string,
  { after, limit }: { after: Timestamp | undefined; limit: number },
): Promise<Order[]> {
  return db.rows<Order>(sql`
    SELECT ${orderColumns} FROM (
      SELECT * FROM orders
      WHERE customer_id = ${customerId} AND deleted IS NULL AND created > ${after ?? '-infinity'}::timestamptz
      ORDER BY created FETCH FIRST ${limit} ROWS WITH TIES
    ) o ORDER BY o.created, o.id`)
}

/**
 * The order, locked against every other transition until the transaction ends. What else belongs to it must be read by a later statement:
 * this one may have waited, and saw everything but the order itself as it was before.
 */
export function lockOrder(tx: Tx, id: string): Promise<OrderHead | undefined> {
  return tx.row<OrderHead>(sql`
    SELECT ${headColumns} FROM orders o WHERE o.id = ${id} AND o.deleted IS NULL FOR NO KEY UPDATE`)
}

/** Due orders as they are seen now, without a lock. */
export async function listDueOrders(db: Queryable, now: Timestamp, limit: number): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    SELECT id FROM orders WHERE state = 'PENDING_CONFIRMATION' AND confirm_before <= ${now}
    ORDER BY confirm_before LIMIT ${limit}`)
  return rows.map((row) => row.id)
}

/** Due orders that hold units of one of these variants. */
export async function listDueOrdersOf(
  db: Queryable,
  variants: readonly { productId: string; variant: string }[],
  now: Timestamp,
  limit: number,
): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    SELECT o.id FROM orders o
    WHERE o.state = 'PENDING_CONFIRMATION' AND o.confirm_before <= ${now} AND EXISTS (
      SELECT FROM order_lines l WHERE l.order_id = o.id AND (l.product_id, l.variant) IN (
        SELECT * FROM unnest(${arrayLiteral(variants.map((one) => one.productId))}::uuid[],
                             ${arrayLiteral(variants.map((one) => one.variant))}::text[])))
    ORDER BY o.confirm_before LIMIT ${limit}`)
  return rows.map((row) => row.id)
}

/** Locks those of the orders that are still due, in the order of their ids; `passOver` leaves out those that somebody else has locked. */
export async function lockDueOrders(
  tx: Tx,
  ids: readonly string[],
  now: Timestamp,
  { passOver }: { passOver: boolean },
): Promise<string[]> {
  const rows = await tx.rows<{ id: string }>(sql`
    SELECT id FROM orders
    WHERE id = ANY(${ids}::uuid[]) AND state = 'PENDING_CONFIRMATION' AND confirm_before <= ${now}
    ORDER BY id FOR NO KEY UPDATE ${passOver ? sql`SKIP LOCKED` : empty}`)
  return rows.map((row) => row.id)
}

/** Locks a customer's pending orders, in the order of their ids. */
export function lockPendingOrders(tx: Tx, customerId: string): Promise<OrderHead[]> {
  return tx.rows<OrderHead>(sql`
    SELECT ${headColumns} FROM orders o
    WHERE o.customer_id = ${customerId} AND o.state = 'PENDING_CONFIRMATION' ORDER BY o.id FOR NO KEY UPDATE`)
}

/** Moves locked orders on. Without a time: as of the end of their window, which is what they have read since. */
export async function saveState(
  tx: Tx,
  ids: readonly string[],
  step: { from: OrderState; to: OrderState; updated: Timestamp | null },
): Promise<void> {
  const { from, to, updated } = step
  const time = updated === null ? sql`confirm_before` : sql`${updated}::timestamptz`
  const moved = await tx.run(sql`
    UPDATE orders SET state = ${to}, updated = ${time} WHERE id = ANY(${ids}::uuid[]) AND state = ${from}`)
  if (moved !== ids.length) throw new Error(`${ids.length - moved} orders were not ${from} although they are locked`)
}
