import { Type } from 'typebox'

import { defineTopic } from '../../../changes/index.ts'
import { hiddenProductChange } from '../product-visibility.ts'

const heardBy = 'everybody signed in; of drafts the owner and staff'
const named = { productId: Type.String({ format: 'uuid' }), ownerId: Type.String({ format: 'uuid' }) }
const described = {
  ...named,
  /** The first 100 characters: those of feeds may be longer. */
  title: Type.String(),
  price: Type.Integer(),
}

export const productCreated = defineTopic({
  name: 'catalog.product.created',
  description: 'A product was added to the catalogue.',
  subject: 'product',
  heardBy,
  data: Type.Object(described),
  hiddenNow: hiddenProductChange,
})

export const productChanged = defineTopic({
  name: 'catalog.product.changed',
  description: 'Title, description, price, stock or tags of a product were set by its owner.',
  subject: 'product',
  heardBy,
  data: Type.Object(described),
  hiddenNow: hiddenProductChange,
})

export const productPublished = defineTopic({
  name: 'catalog.product.published',
  description: 'A draft was made available.',
  subject: 'product',
  heardBy: 'everybody signed in',
  data: Type.Object(described),
  hiddenNow: hiddenProductChange,
})

// Who knew a product must learn that it is gone, later too; so these two are never hidden and say nothing but its id.
export const productWithdrawn = defineTopic({
  name: 'catalog.product.withdrawn',
  description: 'A product was made a draft again.',
  subject: 'product',
  heardBy: 'everybody signed in',
  data: Type.Object(named),
})

export const productDeleted = defineTopic({
  name: 'catalog.product.deleted',
  description: 'A product was deleted by its owner.',
  subject: 'product',
  heardBy,
  data: Type.Object(named),
})

export const productTopics = [productCreated, productChanged, productPublished, productWithdrawn, productDeleted]
