import { Type } from 'typebox'

import { defineTopic } from '../../../changes/index.ts'
import { hiddenProductChange } from '../product-visibility.ts'

const variantData = {
  productId: Type.String({ format: 'uuid' }),
  ownerId: Type.String({ format: 'uuid' }),
  variant: Type.String(),
}

export const productSoldOut = defineTopic({
  name: 'catalog.product.sold-out',
  description: 'The last free unit of a variant was taken.',
  subject: 'product',
  heardBy: 'everybody signed in; of drafts the owner and staff',
  data: Type.Object(variantData),
  hiddenNow: hiddenProductChange,
})

export const productRestocked = defineTopic({
  name: 'catalog.product.restocked',
  description: 'A variant that had no free unit has some again.',
  subject: 'product',
  heardBy: 'everybody signed in; of drafts the owner and staff',
  data: Type.Object(variantData),
  hiddenNow: hiddenProductChange,
})

export const stockTopics = [productSoldOut, productRestocked]
