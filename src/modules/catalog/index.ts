import type { Module } from '../module.ts'
import { deleteProductsSweep, hideProductsOfUser } from './delete-products.ts'
import { foldProductCountsSweep } from './product-counts.ts'
import { feedTopics } from './topics.ts'

/** Hides the products of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { hideProductsOfUser }

export const catalog: Module = {
  name: 'catalog',
  topics: feedTopics,
  sweeps: (context) => [deleteProductsSweep(context), foldProductCountsSweep(context)],
}
