import type { Module } from '../module.ts'
import { deleteProductsSweep, hideProductsOfUser } from './delete-products.ts'
import { imports } from './imports/index.ts'
import { foldProductCountsSweep } from './product-counts.ts'
import { registerProductRoutes } from './products/product-routes.ts'
import { productStates } from './products/product-states.ts'
import { productTopics } from './products/topics.ts'
import { registerProductFeedRoutes } from './routes.ts'
import { documentWordsService } from './search/document-words.ts'
import { registerProductListRoutes } from './search/routes.ts'
import { refreshTagNamesSweep } from './search/tag-names.ts'
import { stockTopics } from './stock/topics.ts'
import { registerTagRoutes } from './tags/tag-routes.ts'
import { tagTopics } from './tags/topics.ts'
import { feedTopics } from './topics.ts'
import { uploadMailSubscriber } from './upload-mail-subscriber.ts'
import { uploadFailedMail, uploadSucceededMail } from './upload-mails.ts'
import { registerUploadRoutes } from './upload-routes.ts'

/** Hides the products of a deleted user in the transaction of the deletion; for `onUserDeleted` of identity. */
export { hideProductsOfUser }

export { presentProduct } from './products/presenters.ts'
export { listProductRows, type ProductRow } from './products/product-rows.ts'
export { productSchema } from './products/schemas.ts'
export { listProductPage, type ProductPage, type ProductPageQuery } from './search/product-page.ts'
export {
  describeOffers,
  returnStock,
  takeStock,
  toOffer,
  type Offer,
  type StockLine,
  type TakenLine,
  type TakeResult,
} from './stock/stock.ts'

export { withOffers, type OfferRow } from './stock/stock-queries.ts'

/** Products, their stock, and the feeds they come from. */
export const catalog: Module = {
  name: 'catalog',
  topics: [...feedTopics, ...productTopics, ...stockTopics, ...tagTopics, ...imports.topics],
  stateMachines: [productStates],
  mailTemplates: [uploadSucceededMail, uploadFailedMail, ...imports.mailTemplates],
  routes: (app) => {
    registerProductFeedRoutes(app)
    registerProductListRoutes(app)
    registerProductRoutes(app)
    registerTagRoutes(app)
    registerUploadRoutes(app)
    imports.routes(app)
  },
  subscribers: () => [uploadMailSubscriber, ...imports.subscribers()],
  sweeps: (context) => [
    deleteProductsSweep(context),
    foldProductCountsSweep(context),
    refreshTagNamesSweep(context),
    ...imports.sweeps(context),
  ],
  services: (context) => [documentWordsService(context), ...imports.services(context)],
}
