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

export const uploadForm = Type.Object({
  file: Type.Unsafe<string>({ type: 'string', format: 'binary', description: 'The feed, XML.' }),
})

/** A small upload that works, for the Postman collection; whole, because the collection sends text. */
export const exampleUpload = {
  contentType: 'multipart/form-data; boundary=souk-example',
  text: [
    '--souk-example',
    'Content-Disposition: form-data; name="file"; filename="feed.xml"',
    'Content-Type: text/xml',
    '',
    `<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item>
<g:id>example_1</g:id><title>Linen shirt</title><g:product_type>Clothing</g:product_type>
<link>https://shop.example/shirt</link><description>A light shirt.</description>
<g:image_link>https://shop.example/shirt.jpg</g:image_link><g:price>199.99 AED</g:price>
<g:availability>in stock</g:availability><g:brand>Example</g:brand><g:gtin>4006381333931</g:gtin>
<g:item_group_id>shirts</g:item_group_id><g:condition>new</g:condition><g:age_group>adult</g:age_group>
<g:color>white</g:color><g:gender>unisex</g:gender><g:quantity>3</g:quantity>
</item></channel></rss>`,
    '--souk-example--',
    '',
  ].join('\r\n'),
}
