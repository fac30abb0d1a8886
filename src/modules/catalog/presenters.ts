import { feedFields } from './feed/feed-item.ts'
import { formatHundredths } from './feed/feed-values.ts'
import type { ListedProductRow } from './listed-product-queries.ts'

const moneyFields = feedFields.filter((field) => field.kind === 'money').map((field) => field.json)

/** The product object (product-feed contract, section 3.3). */
export function presentProduct(row: ListedProductRow): ListedProductRow {
  const product = { ...row }
  for (const field of moneyFields) {
    const amount = row[field]
    if (typeof amount === 'number') product[field] = formatHundredths(amount)
  }
  return product
}
