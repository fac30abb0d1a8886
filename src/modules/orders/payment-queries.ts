import type { Queryable, Tx } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import { newId } from '../../platform/ids.ts'

export const paymentMethods = ['card', 'bank_transfer', 'cash_on_delivery'] as const
export type PaymentMethod = (typeof paymentMethods)[number]

/**
 * `pending` and `refunding` wait for an attempt, `held` for cancel or accept; the others are final. `cancelled`: its order was called off
 * before the first attempt.
 */
export type PaymentStatus = 'pending' | 'held' | 'accepted' | 'declined' | 'cancelled' | 'refunding' | 'refunded'

export interface PaymentDetails {
  method: PaymentMethod
  reference: string | null
}

/** How long a confirmed order waits for the event that sets its payment going before it is attempted without. */
const WITHOUT_EVENT_SECONDS = 45
/** A second tap on the button must still find the order confirmed, and an error noticed at once can be cancelled before money moves. */
const PAUSE_SECONDS = 1
/** A payment in hand that nobody has renewed for so long is taken over; renewed three times as often. */
export const LEASE_SECONDS = 6

export async function insertPayment(
  tx: Tx,
  payment: PaymentDetails & { orderId: string; amount: number },
): Promise<void> {
  const { orderId, method, reference, amount } = payment
  await tx.run(sql`
    INSERT INTO payments (id, order_id, method, reference, amount, due_at)
    VALUES (${newId()}, ${orderId}, ${method}, ${reference}, ${amount}, now() + make_interval(secs => ${WITHOUT_EVENT_SECONDS}))`)
}

/** Makes the first attempt of these orders' payments due; one that was attempted, or whose order went another way, is left alone. */
export async function makePaymentsDue(tx: Tx, orderIds: readonly string[]): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET due_at = created + make_interval(secs => ${PAUSE_SECONDS})
    WHERE order_id = ANY(${orderIds}::uuid[]) AND status = 'pending' AND attempts = 0
      AND due_at > created + make_interval(secs => ${PAUSE_SECONDS})`)
}

/** A payment in somebody's hand, noted before anything is asked of the provider. */
export interface PaymentClaim {
  id: string
  orderId: string
  method: PaymentMethod
  reference: string | null
  amount: number
  /** What is to be done. */
  status: 'pending' | 'refunding'
  claim: string
  /** This one included. */
  attempts: number
}

/** Whether there is anything to take in hand; a look that costs less than a transaction. */
export async function hasDuePayments(db: Queryable): Promise<boolean> {
  const due = await db.row(sql`
    SELECT 1 FROM payments WHERE status IN ('pending', 'refunding') AND due_at <= now() LIMIT 1`)
  return due !== undefined
}

/** Takes due payments in hand; several workers never take the same one. Judged by the clock of the database, the one they share. */
export function claimPayments(tx: Tx, limit: number): Promise<PaymentClaim[]> {
  return tx.rows<PaymentClaim>(sql`
    WITH due AS MATERIALIZED (
      SELECT id FROM payments WHERE status IN ('pending', 'refunding') AND due_at <= now()
      ORDER BY due_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE payments p SET claim = gen_random_uuid(), attempts = attempts + 1, updated = now(),
      due_at = now() + make_interval(secs => ${LEASE_SECONDS})
    FROM due WHERE p.id = due.id
    RETURNING p.id, p.order_id AS "orderId", p.method, p.reference, p.amount, p.status, p.claim, p.attempts`)
}

/** Keeps payments in hand. */
export async function renewClaims(tx: Tx, claims: readonly string[]): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET due_at = now() + make_interval(secs => ${LEASE_SECONDS})
    WHERE claim = ANY(${claims}::uuid[]) AND status IN ('pending', 'refunding') AND due_at > now()`)
}

/** Locks a payment for whoever has it in hand; undefined when it was taken over or settled another way. Its order must be locked. */
export function lockClaimed(
  tx: Tx,
  { id, claim }: Pick<PaymentClaim, 'id' | 'claim'>,
): Promise<{ status: PaymentClaim['status'] } | undefined> {
  return tx.row<{ status: PaymentClaim['status'] }>(sql`
    SELECT status FROM payments
    WHERE id = ${id} AND claim = ${claim} AND status IN ('pending', 'refunding') FOR NO KEY UPDATE`)
}

/** Writes the result of a payment that was locked; `refunding` is due at once. */
export async function savePayment(tx: Tx, id: string, status: PaymentStatus): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET status = ${status}, claim = NULL, due_at = now(), last_error = NULL, updated = now() WHERE id = ${id}`)
}

/** Puts a payment back whose attempt had no result; whoever has taken it over keeps it. */
export async function postponePayment(
  tx: Tx,
  { id, claim }: Pick<PaymentClaim, 'id' | 'claim'>,
  { delayMs, error }: { delayMs: number; error: string },
): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET claim = NULL, due_at = now() + ${delayMs} * interval '1 millisecond', last_error = ${error}, updated = now()
    WHERE id = ${id} AND claim = ${claim} AND status IN ('pending', 'refunding')`)
}

/** Staff have seen to the money: nothing more is attempted. */
export async function acceptPaymentByHand(tx: Tx, orderId: string): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET status = 'accepted', claim = NULL, updated = now()
    WHERE order_id = ${orderId} AND status IN ('pending', 'held')`)
}

/**
 * Calls off the payment of a locked order that is cancelled. What was never attempted ends here. What was may have taken the money, or be
 * taking it just now: it is given back when that is known, or when nobody has it in hand any more.
 */
export async function cancelPayment(tx: Tx, orderId: string): Promise<void> {
  await tx.run(sql`
    UPDATE payments SET status = CASE WHEN attempts = 0 THEN 'cancelled' ELSE 'refunding' END,
      due_at = CASE WHEN claim IS NULL THEN now() ELSE due_at END, updated = now()
    WHERE order_id = ${orderId} AND status IN ('pending', 'held')`)
}
