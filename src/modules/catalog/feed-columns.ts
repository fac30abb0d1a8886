import { feedFields, type FeedField, type FeedKind, type FeedProduct } from './feed/feed-item.ts'

/** Where a field of a feed item is stored. The quantity is not here: it is the stock of the product. */
export interface FeedColumn {
  key: keyof FeedProduct
  json: string
  column: string
  type: 'text' | 'bigint' | 'integer' | 'numeric' | 'boolean'
}

const types: Record<FeedKind, FeedColumn['type']> = {
  text: 'text',
  url: 'text',
  appUrl: 'text',
  html: 'text',
  money: 'bigint',
  integer: 'integer',
  count: 'integer',
  decimal: 'numeric',
  yes: 'boolean',
}

/** `id` and `price` of a feed are not those of the product: that has a UUID, and one price out of the feed's four. */
const renamed: Record<string, string> = { id: 'feed_id', price: 'regular_price' }

export const feedColumns: readonly FeedColumn[] = feedFields
  .filter((field) => field.key !== 'quantity')
  .map((field) => ({ key: field.key, json: field.json, column: columnName(field), type: types[field.kind] }))

function columnName(field: FeedField): string {
  return renamed[field.json] ?? field.json
}
