import { Type } from 'typebox'

import { defineTopic } from '../../changes/index.ts'
import { orderStates } from './order-states.ts'

const uuid = Type.String({ format: 'uuid' })
const state = Type.Enum(orderStates.states.map(({ name }) => name))

const lines = {
  /** All lines there are; `lines` has the first of them when they are more than a change holds. */
  line_count: Type.Integer(),
  lines: Type.Array(
    Type.Object({
      product_id: uuid,
      variant: Type.String(),
      quantity: Type.Integer(),
      unit_price: Type.Integer(),
    }),
    { maxItems: 100 },
  ),
}

const anOrder = { order_id: uuid, customer_id: uuid, state, total: Type.Integer(), ...lines }
/** Of one seller, with nothing of the others. */
const aSale = { order_id: uuid, seller_id: uuid, customer_id: uuid, state, subtotal: Type.Integer(), ...lines }

const toCustomer = { subject: 'order', heardBy: 'the customer and staff' } as const
const toSeller = { subject: 'sale', heardBy: 'the seller and staff' } as const

const orderPlaced = defineTopic({
  name: 'orders.order.placed',
  description: 'An order was placed; its units are set aside until it is confirmed or its time has passed.',
  ...toCustomer,
  data: Type.Object(anOrder),
})

export const orderConfirmed = defineTopic({
  name: 'orders.order.confirmed',
  description: 'The customer confirmed an order; its payment is under way.',
  ...toCustomer,
  data: Type.Object(anOrder),
})

export const orderAccepted = defineTopic({
  name: 'orders.order.accepted',
  description: 'An order was paid, or accepted by staff.',
  ...toCustomer,
  data: Type.Object(anOrder),
})

const orderShipped = defineTopic({
  name: 'orders.order.shipped',
  description: 'An order is on its way.',
  ...toCustomer,
  data: Type.Object(anOrder),
})

export const orderCancelled = defineTopic({
  name: 'orders.order.cancelled',
  description: 'An order was called off, or its payment was declined; its units were given back.',
  ...toCustomer,
  data: Type.Object({
    ...anOrder,
    reason: Type.Enum(['customer', 'payment-declined', 'customer-deleted']),
  }),
})

const orderExpired = defineTopic({
  name: 'orders.order.expired',
  description: 'An order was not confirmed in time; its units were given back.',
  ...toCustomer,
  data: Type.Object(anOrder),
})

const salePlaced = defineTopic({
  name: 'orders.sale.placed',
  description: 'Somebody ordered products of a seller.',
  ...toSeller,
  data: Type.Object(aSale),
})

const saleConfirmed = defineTopic({
  name: 'orders.sale.confirmed',
  description: 'The customer confirmed an order with products of a seller.',
  ...toSeller,
  data: Type.Object(aSale),
})

const saleAccepted = defineTopic({
  name: 'orders.sale.accepted',
  description: 'An order with products of a seller was paid, or accepted by staff.',
  ...toSeller,
  data: Type.Object(aSale),
})

const saleShipped = defineTopic({
  name: 'orders.sale.shipped',
  description: 'An order with products of a seller is on its way.',
  ...toSeller,
  data: Type.Object(aSale),
})

const saleCancelled = defineTopic({
  name: 'orders.sale.cancelled',
  description: 'An order with products of a seller was called off; the units were given back.',
  ...toSeller,
  data: Type.Object(aSale),
})

const saleExpired = defineTopic({
  name: 'orders.sale.expired',
  description: 'An order with products of a seller was not confirmed in time; the units were given back.',
  ...toSeller,
  data: Type.Object(aSale),
})

/** What is recorded of an order, by what happened to it. */
export const orderTopics = {
  placed: orderPlaced,
  confirmed: orderConfirmed,
  accepted: orderAccepted,
  shipped: orderShipped,
  cancelled: orderCancelled,
  expired: orderExpired,
}

/** The same for each seller. */
export const saleTopics = {
  placed: salePlaced,
  confirmed: saleConfirmed,
  accepted: saleAccepted,
  shipped: saleShipped,
  cancelled: saleCancelled,
  expired: saleExpired,
}

export const topics = [...Object.values(orderTopics), ...Object.values(saleTopics)]
