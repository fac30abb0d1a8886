import { Type } from 'typebox'

import { problemWith, timestampSchema, uuidSchema } from '../../../platform/http/schemas.ts'
import { MAX_ADDED, MAX_LINES } from './bag.ts'

/** Of a longer name no variant can be. */
const MAX_VARIANT = 50

const quantity = Type.Integer({ minimum: 1, maximum: MAX_ADDED, examples: [2] })

const lineMembers = {
  product_id: Type.String({ format: 'uuid' }),
  variant: Type.Optional(Type.String({ minLength: 1, maxLength: MAX_VARIANT, default: 'default' })),
  quantity: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_ADDED, default: 1, examples: [2] })),
}

export const newLineBody = Type.Object(lineMembers)

export const replaceBagBody = Type.Object({
  items: Type.Array(Type.Object(lineMembers), {
    maxItems: MAX_LINES,
    description: 'What the bag shall hold; equal product and variant are added up.',
  }),
})

export const quantityBody = Type.Object({ quantity })

export const itemParam = Type.Object({ item_id: Type.String({ format: 'uuid' }) })

const itemSchema = Type.Object({
  id: uuidSchema,
  product_id: uuidSchema,
  variant: Type.String(),
  quantity: Type.Integer(),
  title: Type.String(),
  unit_price: Type.Integer({ description: 'In minor units, as it is now.' }),
  subtotal: Type.Integer(),
  available: Type.Integer({ description: 'Free units now.' }),
  purchasable: Type.Boolean({ description: 'False when product or variant is gone, withdrawn or short of units.' }),
})

export const bagSchema = Type.Object({
  id: uuidSchema,
  state: Type.String({ examples: ['OPEN'] }),
  items: Type.Array(itemSchema, { description: 'In the order in which they were added.' }),
  total: Type.Integer({ description: 'Of the purchasable items.' }),
  created: timestampSchema,
  updated: timestampSchema,
})

export const refusedSchema = problemWith(
  {
    missing: Type.Optional(
      Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 }), {
        description: 'Product and variant of what does not exist, is deleted or withdrawn.',
      }),
    ),
  },
  'The input is not valid, or names what cannot be bought.',
)
