import { Type } from 'typebox'

import { defineTopic } from '../../changes/index.ts'
import { hiddenProductChanges } from './product-visibility.ts'

const NamedProduct = Type.Object({ id: Type.String({ format: 'uuid' }), feedId: Type.String() })
const Source = Type.Union([Type.Literal('upload'), Type.Literal('import')])

const bulkData = {
  ownerId: Type.String({ format: 'uuid' }),
  /** What brought the products: an upload or a background import, and its id. */
  source: Source,
  sourceId: Type.String({ format: 'uuid' }),
  products: Type.Array(NamedProduct, { maxItems: 500 }),
}

export const productsImported = defineTopic({
  name: 'catalog.products.imported',
  description: 'Products of a feed were added to the catalogue.',
  subject: 'feed',
  heardBy: 'everybody signed in',
  data: Type.Object(bulkData),
  hiddenNow: hiddenProductChanges,
})

export const productsUpdated = defineTopic({
  name: 'catalog.products.updated',
  description: 'Products were changed by a feed of their owner.',
  subject: 'feed',
  heardBy: 'everybody signed in',
  data: Type.Object(bulkData),
  hiddenNow: hiddenProductChanges,
})

export const productsDeleted = defineTopic({
  name: 'catalog.products.deleted',
  description: 'Products were deleted because their owner was.',
  subject: 'user',
  heardBy: 'everybody signed in; of drafts the staff',
  data: Type.Object({
    ownerId: Type.String({ format: 'uuid' }),
    products: Type.Array(
      Type.Object({
        id: Type.String({ format: 'uuid' }),
        feedId: Type.Union([Type.String(), Type.Null()]),
      }),
      { maxItems: 500 },
    ),
  }),
})

export const uploadCompleted = defineTopic({
  name: 'catalog.upload.completed',
  description: 'An uploaded feed was read to its end.',
  subject: 'upload',
  heardBy: 'the uploader',
  data: Type.Object({
    fileName: Type.String(),
    created: Type.Integer(),
    existing: Type.Integer(),
    problematic: Type.Integer(),
  }),
})

export const uploadFailed = defineTopic({
  name: 'catalog.upload.failed',
  description: 'An uploaded feed was refused as a whole; nothing was imported.',
  subject: 'upload',
  heardBy: 'the uploader',
  data: Type.Object({ fileName: Type.String(), reason: Type.String() }),
})

export const feedTopics = [productsImported, productsUpdated, productsDeleted, uploadCompleted, uploadFailed]
