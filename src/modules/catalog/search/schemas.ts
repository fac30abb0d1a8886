import { Type } from 'typebox'

import { pageQuery, pageSchema } from '../../../platform/http/paging.ts'
import { nullable, uuidSchema } from '../../../platform/http/schemas.ts'
import { productSchema } from '../products/schemas.ts'

/** Longer than any title; a description that is longer is found by a part of it. */
const MAX_TERM = 1_000

/** A text to search for; empty does not filter. */
export function searchTermSchema(description: string) {
  return Type.Optional(Type.String({ maxLength: MAX_TERM, description: `${description} Empty does not filter.` }))
}

const exactly = (name: string) => Type.Optional(Type.String({ maxLength: MAX_TERM, description: `Exact ${name}.` }))
const choice = <T extends string>(values: T[], description: string) =>
  Type.Optional(Type.Unsafe<T>(Type.String({ enum: values, description })))

/** What narrows and orders the products of everybody or of one seller. */
export const sellerProductsQuery = {
  ...pageQuery,
  offset: Type.Optional(
    Type.String({
      description:
        'The `offset_date` of the previous page; with `sort=relevance` the `next_offset` of the previous page, a number of products to skip.',
    }),
  ),
  search_term: searchTermSchema('Title, description or the name of a tag contains it, without case and accents.'),
  tag: Type.Optional(Type.String({ description: 'Id of a tag.' })),
  brand: exactly('brand'),
  condition: exactly('condition'),
  gender: exactly('gender'),
  min_price: Type.Optional(Type.String({ description: 'Lowest price, in minor units.' })),
  max_price: Type.Optional(Type.String({ description: 'Highest price, in minor units.' })),
  sort: choice(
    ['newest', 'relevance'],
    'Default `newest`, by the last change. `relevance`, with `search_term`: products that contain the term, in the title before a tag before ' +
      'the description, then those that contain its words, typing errors forgiven; of very many the newest 500 are ranked.',
  ),
  facets: choice(
    ['true', 'false'],
    'Whether to count what brands, conditions, genders, prices, tags and sellers there are.',
  ),
}

export const productsQuery = {
  ...sellerProductsQuery,
  owner_user_id: Type.Optional(Type.String({ description: 'Id of a seller.' })),
}

const count = Type.Integer()
const valueCounts = Type.Array(Type.Object({ value: Type.String(), count }), { description: 'The 20 most frequent.' })
const facetsSchema = Type.Object(
  {
    counted: Type.Integer({ description: 'Products that were counted.' }),
    exact: Type.Boolean({ description: 'Whether those were all; of more than 5,000 only so many are counted.' }),
    brand: valueCounts,
    condition: valueCounts,
    gender: valueCounts,
    price: Type.Array(Type.Object({ min_price: Type.Integer(), max_price: nullable(Type.Integer()), count }), {
      description: 'Ranges with products, both ends included.',
    }),
    tag: Type.Array(Type.Object({ id: uuidSchema, name: Type.String(), count })),
    seller: Type.Array(Type.Object({ id: uuidSchema, username: Type.String(), count })),
  },
  { description: 'Only with `facets=true`: over all products that pass the filters, not only those of the page.' },
)

const page = pageSchema(productSchema)
export const productsResponse = Type.Object({
  ...page.properties,
  metadata: Type.Object({
    ...page.properties.metadata.properties,
    next_offset: Type.Optional(
      nullable(Type.Integer({ description: 'Only with `sort=relevance`: the `offset` of the next page.' })),
    ),
  }),
  facets: Type.Optional(facetsSchema),
})
