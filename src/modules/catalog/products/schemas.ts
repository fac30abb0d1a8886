import { Type } from 'typebox'

import { timestampSchema, uuidSchema } from '../../../platform/http/schemas.ts'

/** The largest price and number of units: of `products.price` and `stock_levels.quantity` as far as the store contract goes. */
const MAX_INTEGER = 2_147_483_647
/** As many as variants; a product with thousands of tags would make a page of products too large to build in memory. */
const MAX_TAGS = 100

export const tagSchema = Type.Object(
  { id: uuidSchema, name: Type.String(), description: Type.String() },
  { title: 'Tag' },
)

/** Names of any characters, so not a record: its pattern would leave out names with a line break. */
const stockSchema = Type.Unsafe<Record<string, number>>({
  type: 'object',
  additionalProperties: Type.Integer(),
  description: 'Free units by variant; the variant of a product with only one is `default`.',
  examples: [{ default: 5 }],
})

/** A product of the store; not that of the feed, which is `FeedProduct`. */
export const productSchema = Type.Object(
  {
    id: uuidSchema,
    title: Type.String(),
    description: Type.String(),
    price: Type.Integer({ description: 'In minor units.' }),
    stock: stockSchema,
    owner_user_id: uuidSchema,
    tags: Type.Array(tagSchema, { description: 'In the order they were attached.' }),
    state: Type.Union([Type.Literal('AVAILABLE'), Type.Literal('DRAFT')]),
    sold_out: Type.Boolean({ description: 'No variant has a free unit.' }),
    created: timestampSchema,
    updated: timestampSchema,
  },
  { title: 'Product' },
)

const NOT_BLANK = String.raw`\S`
const text = (maxLength: number, example: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: NOT_BLANK,
    description: `1 to ${maxLength} characters, not all blanks.`,
    examples: [example],
    'x-messages': { pattern: 'This field may not be blank.' },
  })

const title = text(100, 'Linen shirt')
const description = text(1_000, 'A light shirt.')
const price = Type.Integer({ minimum: 1, maximum: MAX_INTEGER, description: 'In minor units.', examples: [1999] })
const stock = Type.Unsafe<Record<string, number>>({
  type: 'object',
  minProperties: 1,
  maxProperties: 100,
  propertyNames: { minLength: 1, maxLength: 50, pattern: NOT_BLANK },
  additionalProperties: Type.Integer({ minimum: 0, maximum: MAX_INTEGER }),
  description:
    'Free units by variant: 1 to 100 names of 1 to 50 characters. The only variant of a product is `default`.',
  examples: [{ default: 5 }],
  'x-messages': {
    minProperties: 'At least one variant is required.',
    maxProperties: 'Ensure this field has no more than 100 variants.',
    propertyNames: 'The name of a variant has 1 to 50 characters, not all blanks.',
  },
})
const tags = Type.Array(Type.String(), {
  maxItems: MAX_TAGS,
  description: 'Ids of tags, each once, in the order in which they are shown.',
  examples: [[]],
})
const fields = { title, description, price, stock }
const state = Type.Union([Type.Literal('AVAILABLE'), Type.Literal('DRAFT')], { default: 'AVAILABLE' })

export const createProductBody = Type.Object({
  ...fields,
  tags: Type.Optional(tags),
  state: Type.Optional(state),
})

/** Tags that are absent are none. */
export const replaceProductBody = Type.Object({ ...fields, tags: Type.Optional(tags) })

/** `stock` and `tags` are replaced as a whole. */
export const updateProductBody = Type.Partial(Type.Object({ ...fields, tags }))
