import type { Module } from '../module.ts'
import { discardLastBag } from './bag/bag.ts'
import { bagStates } from './bag/bag-states.ts'
import { bagRoutes } from './bag/routes.ts'
import { bagTopics } from './bag/topics.ts'
import { expireOrdersSweep } from './expire-orders.ts'
import { orderMail } from './order-mails.ts'
import { orderStates } from './order-states.ts'
import { cancelOrdersOfUser } from './order-transitions.ts'
import { pseudoProvider } from './payment-provider.ts'
import { paymentStream } from './payment-stream.ts'
import { createPaymentWorker } from './payment-worker.ts'
import { orderRoutes } from './routes.ts'
import { salesRoutes } from './sales-routes.ts'
import { orderMailSubscriber, paymentSubscriber } from './subscribers.ts'
import { topics } from './topics.ts'

/** Discards the bag of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { discardLastBag }

/** Calls off the pending orders of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { cancelOrdersOfUser }

/** Bags, orders, their payment, and what sellers see of them. */
export const orders: Module = {
  name: 'orders',
  topics: [...topics, ...bagTopics],
  mailTemplates: [orderMail],
  stateMachines: [bagStates, orderStates],
  routes: (app) => {
    bagRoutes(app)
    orderRoutes(app)
    salesRoutes(app)
  },
  subscribers: ({ config }) => [paymentSubscriber(config.orders), orderMailSubscriber],
  sweeps: (context) => [expireOrdersSweep(context)],
  services: (context) => [createPaymentWorker({ ...context, provider: pseudoProvider }), ...paymentStream(context)],
}
