import type { Static } from 'typebox'

import { toTimestamp } from '../../platform/clock.ts'
import type { Order } from './order-queries.ts'
import type { PaymentStatus } from './payment-queries.ts'
import type { SaleRow } from './sales-queries.ts'
import type { orderSchema, saleSchema } from './schemas.ts'

type Lasting = Pick<Order, 'state' | 'confirmBefore' | 'updated'>

/** What an order reads now: past its time it is NOT_CONFIRMED, whether or not somebody has written that yet. */
export function asOf({ state, confirmBefore, updated }: Lasting, now: Date): Pick<Order, 'state' | 'updated'> {
  const isPast = state === 'PENDING_CONFIRMATION' && confirmBefore <= toTimestamp(now)
  return isPast ? { state: 'NOT_CONFIRMED', updated: confirmBefore } : { state, updated }
}

/** How the payment of an order ended for its customer; money that was given back was not accepted. */
const shownStatus = {
  pending: 'pending',
  held: 'pending',
  accepted: 'accepted',
  declined: 'declined',
  cancelled: 'declined',
  refunding: 'declined',
  refunded: 'declined',
} as const satisfies Record<PaymentStatus, string>

export function presentOrder(order: Order, now: Date): Static<typeof orderSchema> {
  const { state, updated } = asOf(order, now)
  const { id, customerId, total, confirmBefore, payment, created } = order
  return {
    id,
    state,
    order_line_items: order.lines.map(({ productId, variant, quantity, unitPrice }) => ({
      product_id: productId,
      variant,
      quantity,
      unit_price: unitPrice,
    })),
    total,
    customer_id: customerId,
    confirm_before: confirmBefore,
    payment: payment === null ? null : { method: payment.method, status: shownStatus[payment.status] },
    created,
    updated,
  }
}

/** With the name of the customer, null when that user is deleted. */
export function presentSale(sale: SaleRow, username: string | null, now: Date): Static<typeof saleSchema> {
  const { state, updated } = asOf(sale, now)
  return {
    order_id: sale.orderId,
    state,
    order_line_items: sale.lines.map(({ productId, variant, title, quantity, unitPrice }) => ({
      product_id: productId,
      variant,
      title,
      quantity,
      unit_price: unitPrice,
    })),
    subtotal: sale.subtotal,
    customer: { id: sale.customerId, username },
    created: sale.created,
    updated,
  }
}
