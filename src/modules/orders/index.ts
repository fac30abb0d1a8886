import type { Module } from '../module.ts'
import { discardLastBag } from './bag/bag.ts'
import { bagStates } from './bag/bag-states.ts'
import { bagRoutes } from './bag/routes.ts'
import { bagTopics } from './bag/topics.ts'
import { orderStates } from './order-states.ts'

/** Discards the bag of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { discardLastBag }

/** Bags, orders, their payment, and what sellers see of them. */
export const orders: Module = {
  name: 'orders',
  topics: bagTopics,
  stateMachines: [bagStates, orderStates],
  routes: bagRoutes,
}
