import type { Tx } from '../../platform/db/db.ts'
import { lockOrder } from './order-queries.ts'
import { acceptPaidOrder, cancelUnpaidOrder } from './order-transitions.ts'
import type { PaymentOutcome } from './payment-provider.ts'
import { lockClaimed, makePaymentsDue, savePayment, type PaymentClaim } from './payment-queries.ts'

/**
 * Sets the payment of a confirmed order going: a worker attempts it after the commit. Seen twice, for an order that does not exist or has
 * gone another way, it does nothing.
 */
export async function settleConfirmedOrder(tx: Tx, orderId: string): Promise<void> {
  await makePaymentsDue(tx, [orderId])
}

/**
 * Writes what the provider said, and moves the order on if it still waits for it. A payment whose order was cancelled while it was under way
 * is given back instead. False for a claim that others have taken over or that staff have made void: then nothing is written.
 */
export async function applyOutcome(tx: Tx, claim: PaymentClaim, outcome: PaymentOutcome, now: Date): Promise<boolean> {
  const order = await lockOrder(tx, claim.orderId)
  const payment = await lockClaimed(tx, claim)
  if (order === undefined || payment === undefined) return false

  if (payment.status === 'refunding') {
    await savePayment(tx, claim.id, outcome === 'declined' ? 'declined' : 'refunding')
    return true
  }
  await savePayment(tx, claim.id, outcome)
  if (outcome === 'accepted') await acceptPaidOrder(tx, order, now)
  if (outcome === 'declined') await cancelUnpaidOrder(tx, order, now)
  return true
}

/** Writes that the money is back with the customer; false as with `applyOutcome`. */
export async function applyRefund(tx: Tx, claim: PaymentClaim): Promise<boolean> {
  const payment = await lockClaimed(tx, claim)
  if (payment === undefined) return false
  await savePayment(tx, claim.id, 'refunded')
  return true
}
