import type { Module } from '../module.ts'
import { orderStates } from './order-states.ts'

/** Bags, orders, their payment, and what sellers see of them. */
export const orders: Module = {
  name: 'orders',
  topics: [],
  stateMachines: [orderStates],
}
