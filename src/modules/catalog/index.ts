import type { Module } from '../module.ts'
import { deleteProductsSweep, hideProductsOfUser } from './delete-products.ts'
import { foldProductCountsSweep } from './product-counts.ts'
import { registerProductFeedRoutes } from './routes.ts'
import { feedTopics } from './topics.ts'
import { uploadMailSubscriber } from './upload-mail-subscriber.ts'
import { uploadFailedMail, uploadSucceededMail } from './upload-mails.ts'
import { registerUploadRoutes } from './upload-routes.ts'

/** Hides the products of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { hideProductsOfUser }

/** Products, their feeds and their stock. */
export const catalog: Module = {
  name: 'catalog',
  topics: feedTopics,
  mailTemplates: [uploadSucceededMail, uploadFailedMail],
  routes: (app) => {
    registerProductFeedRoutes(app)
    registerUploadRoutes(app)
  },
  subscribers: () => [uploadMailSubscriber],
  sweeps: (context) => [deleteProductsSweep(context), foldProductCountsSweep(context)],
}
