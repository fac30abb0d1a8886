import { recordChanges } from '../../changes/index.ts'
import { distinctTimestamp, toTimestamp, type Timestamp } from '../../platform/clock.ts'
import type { Tx } from '../../platform/db/db.ts'
import { InvalidError, NotFoundError } from '../../platform/errors.ts'
import { faultPoint } from '../../platform/fault.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { nextState } from '../../platform/state-machine.ts'
import { returnStock } from '../catalog/index.ts'
import { expireLocked } from './expire-orders.ts'
import { changesOf, type CancelReason, type Happening } from './order-changes.ts'
import { findOrder, listOrders, lockOrder, lockPendingOrders, saveState } from './order-queries.ts'
import type { Order, OrderHead } from './order-queries.ts'
import { orderStates, type OrderTrigger } from './order-states.ts'
import { acceptPaymentByHand, cancelPayment, insertPayment, type PaymentDetails } from './payment-queries.ts'
import { requireCustomer } from './policy.ts'

interface Command {
  caller: Caller
  id: string
  now: Date
}

/**
 * The time of the order had passed: it is NOT_CONFIRMED now, which must be committed, and the caller is answered with an error all the same.
 */
export interface TooLate {
  result: 'too-late'
}

export type TransitionResult = { result: 'done'; order: Order } | TooLate

/**
 * Confirms an order of the caller; one that is confirmed already is left as it is. `readPayment` throws when the payment details will not do;
 * it is only asked when they matter.
 */
export async function confirmOrder(
  tx: Tx,
  { caller, id, now, readPayment }: Command & { readPayment: () => PaymentDetails },
): Promise<TransitionResult> {
  const head = await lockOwnOrder(tx, caller, id)
  if (head.state === 'CONFIRMED') return { result: 'done', order: await getOrder(tx, id) }
  if (isDue(head, now)) return expireLate(tx, head)
  requireStep(head, 'confirm')
  const payment = readPayment()

  await saveState(tx, [id], { from: head.state, to: 'CONFIRMED', updated: distinctTimestamp(now) })
  await insertPayment(tx, { ...payment, orderId: id, amount: head.total })
  const order = await record(tx, id, 'confirmed', { actor: caller.userId })
  tx.afterCommit(() => faultPoint('order-confirmed-after-commit'))
  faultPoint('order-confirmed-before-commit')
  return { result: 'done', order }
}

/** Calls off an order of the caller; its units go back, and money that was or may have been taken is given back. */
export async function cancelOrder(tx: Tx, { caller, id, now }: Command): Promise<TransitionResult> {
  const head = await lockOwnOrder(tx, caller, id)
  if (isDue(head, now)) return expireLate(tx, head)
  requireStep(head, 'cancel')

  await cancelPayment(tx, id)
  const updated = distinctTimestamp(now)
  const order = await cancelLocked(tx, head, { actor: caller.userId, reason: 'customer', updated })
  tx.afterCommit(() => faultPoint('order-cancelled-after-commit'))
  faultPoint('order-cancelled-before-commit')
  return { result: 'done', order }
}

/** Staff accept a confirmed order; its payment counts as seen to. */
export async function acceptOrder(tx: Tx, { caller, id, now }: Command): Promise<TransitionResult> {
  const head = await lockExistingOrder(tx, id)
  if (isDue(head, now)) return expireLate(tx, head)
  requireStep(head, 'accept')

  await acceptPaymentByHand(tx, id)
  await saveState(tx, [id], { from: head.state, to: 'ACCEPTED', updated: distinctTimestamp(now) })
  return { result: 'done', order: await record(tx, id, 'accepted', { actor: caller.userId }) }
}

/** Staff send an accepted order on its way. */
export async function shipOrder(tx: Tx, { caller, id, now }: Command): Promise<TransitionResult> {
  const head = await lockExistingOrder(tx, id)
  if (isDue(head, now)) return expireLate(tx, head)
  requireStep(head, 'ship')

  await saveState(tx, [id], { from: head.state, to: 'SHIPPED', updated: distinctTimestamp(now) })
  return { result: 'done', order: await record(tx, id, 'shipped', { actor: caller.userId }) }
}

/** The payment of a confirmed, locked order has come. */
export async function acceptPaidOrder(tx: Tx, head: OrderHead, now: Date): Promise<void> {
  requireStep(head, 'payment accepted')
  await saveState(tx, [head.id], { from: head.state, to: 'ACCEPTED', updated: distinctTimestamp(now) })
  await record(tx, head.id, 'accepted', { actor: null })
}

/** The payment of a confirmed, locked order was declined. */
export async function cancelUnpaidOrder(tx: Tx, head: OrderHead, now: Date): Promise<void> {
  requireStep(head, 'payment declined')
  const updated = distinctTimestamp(now)
  await cancelLocked(tx, head, { actor: null, reason: 'payment-declined', updated })
}

/**
 * What the deletion of a user does here, in its transaction: pending orders are called off and their units go back; confirmed and later ones
 * go on. An order that is being placed at this very moment is not seen here; nobody can confirm it any more, so it ends when its time has
 * passed.
 */
export async function cancelOrdersOfUser(tx: Tx, user: { id: string; actor: string | null }, now: Date): Promise<void> {
  const pending = await lockPendingOrders(tx, user.id)
  if (pending.length === 0) return
  const idsOf = (heads: readonly OrderHead[]) => heads.map((head) => head.id)
  const late = idsOf(pending.filter((head) => isDue(head, now)))
  const inTime = idsOf(pending.filter((head) => !isDue(head, now)))

  await saveState(tx, late, { from: 'PENDING_CONFIRMATION', to: 'NOT_CONFIRMED', updated: null })
  await saveState(tx, inTime, { from: 'PENDING_CONFIRMATION', to: 'CANCELLED', updated: distinctTimestamp(now) })
  const ended = await listOrders(tx, idsOf(pending))
  const lines = ended.flatMap((order) => order.lines)
  await returnStock(tx, lines)
  const cancelled = { actor: user.actor, reason: 'customer-deleted' } as const
  const changes = ended.flatMap((order) =>
    order.state === 'CANCELLED'
      ? changesOf('cancelled', order, cancelled)
      : changesOf('expired', order, { actor: null }),
  )
  await recordChanges(tx, changes)
}

async function lockExistingOrder(tx: Tx, id: string): Promise<OrderHead> {
  const head = await lockOrder(tx, id)
  if (head === undefined) throw new NotFoundError()
  return head
}

async function lockOwnOrder(tx: Tx, caller: Caller, id: string): Promise<OrderHead> {
  const head = await lockExistingOrder(tx, id)
  requireCustomer(caller, head)
  return head
}

function isDue({ state, confirmBefore }: OrderHead, now: Date): boolean {
  return state === 'PENDING_CONFIRMATION' && confirmBefore <= toTimestamp(now)
}

async function expireLate(tx: Tx, { id }: OrderHead): Promise<TooLate> {
  await expireLocked(tx, [id])
  return { result: 'too-late' }
}

function requireStep({ state }: OrderHead, trigger: OrderTrigger): void {
  if (nextState(orderStates, state, trigger) !== undefined) return
  throw new InvalidError(`The order is ${state}; it does not take "${trigger}".`, { code: 'wrong_state' })
}

async function cancelLocked(
  tx: Tx,
  { id, state }: OrderHead,
  { updated, ...circumstances }: { actor: string | null; reason: CancelReason; updated: Timestamp },
): Promise<Order> {
  await saveState(tx, [id], { from: state, to: 'CANCELLED', updated })
  const order = await getOrder(tx, id)
  await returnStock(tx, order.lines)
  await recordChanges(tx, changesOf('cancelled', order, circumstances))
  return order
}

async function record(tx: Tx, id: string, happening: Happening, by: { actor: string | null }): Promise<Order> {
  const order = await getOrder(tx, id)
  await recordChanges(tx, changesOf(happening, order, by))
  return order
}

async function getOrder(tx: Tx, id: string): Promise<Order> {
  const order = await findOrder(tx, id)
  if (order === undefined) throw new NotFoundError()
  return order
}
