import { Type, type TSchema } from 'typebox'

import { nullable } from '../../platform/http/schemas.ts'
import { feedFields, type FeedField } from './feed/feed-item.ts'

function fieldSchema(field: FeedField): TSchema {
  if (field.kind === 'count' || field.kind === 'integer') return Type.Integer()
  if (field.kind === 'yes') return Type.Boolean()
  const description = descriptions[field.kind]
  const text = Type.String(description === undefined ? {} : { description })
  return field.required ? text : nullable(text)
}

const descriptions: Partial<Record<FeedField['kind'], string>> = {
  money: 'Two decimals, `199.99`.',
  decimal: 'Two decimals, `12.50`.',
  html: 'HTML of a few formatting elements without attributes.',
}

/** Section 3.3: every field of a feed item, always present. */
export const productSchema = Type.Object(
  Object.fromEntries(feedFields.map((field) => [field.json, fieldSchema(field)])),
  { title: 'FeedProduct' },
)

const facet = (name: string) => Type.Optional(Type.String({ description: `Exact ${name}; empty does not filter.` }))

export const listQuery = Type.Object({
  condition: facet('condition'),
  gender: facet('gender'),
  brand: facet('brand'),
  sort_by: Type.Optional(Type.String({ description: 'Any product field; default `title`.' })),
  order: Type.Optional(Type.String({ description: '`asc` (default) or `desc`; null is last in `asc`.' })),
  page: Type.Optional(Type.String({ description: 'From 1, or `last`; default 1.' })),
  page_size: Type.Optional(Type.String({ description: 'Default 5, at most 100.' })),
})

export const listResponse = Type.Object({
  count: Type.Integer(),
  next: nullable(Type.String()),
  previous: nullable(Type.String()),
  results: Type.Array(productSchema),
  total_pages: Type.Integer(),
})

export const productParams = Type.Object({
  product_id: Type.String({ description: 'The id of the product in its feed, URL-encoded.' }),
})

export const filterOptionsResponse = Type.Object({
  conditions: Type.Array(Type.String()),
  genders: Type.Array(Type.String()),
  brands: Type.Array(Type.String()),
})

const ids = (description: string) => Type.Array(Type.String(), { description })

export const uploadResponse = Type.Object({
  message: Type.Literal('Products uploaded successfully'),
  created_product_ids: ids('In file order, as the other lists.'),
  existing_product_ids: ids('In the catalogue already, or earlier in the same file.'),
  problematic_product_ids: ids('Items that break a rule.'),
  problems: Type.Array(
    Type.Object({
      item: Type.Integer({ description: 'Counted from 1.' }),
      id: nullable(Type.String()),
      reason: Type.String(),
    }),
  ),
})
