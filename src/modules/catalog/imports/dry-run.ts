import { raw, sql } from '../../../platform/db/sql.ts'
import type { Queryable } from '../../../platform/db/db.ts'
import { feedColumns } from '../feed-columns.ts'
import type { FeedProduct } from '../feed/feed-item.ts'
import type { BatchOutcome } from './import-batch.ts'
import type { ImportRow } from './import-queries.ts'

type Stored = FeedProduct & { ownerId: string }

/** What an import would do with these products, each id once: the same figures as the import itself, and nothing is written. */
export async function compareWithStored(
  db: Queryable,
  job: Pick<ImportRow, 'mode' | 'ownerId'>,
  products: readonly FeedProduct[],
): Promise<BatchOutcome> {
  const outcome: BatchOutcome = { created: 0, updated: 0, unchanged: 0, existing: [], notOurs: [] }
  const feedIds = products.map((product) => product.feedId)
  const stored = new Map((await listStored(db, feedIds)).map((row) => [row.feedId, row]))
  for (const product of products) {
    const known = stored.get(product.feedId)
    if (known === undefined) outcome.created += 1
    else if (job.mode === 'create') outcome.existing.push(product.feedId)
    else if (known.ownerId !== job.ownerId) outcome.notOurs.push(product.feedId)
    else if (isEqual(product, known)) outcome.unchanged += 1
    else outcome.updated += 1
  }
  return outcome
}

function isEqual(product: FeedProduct, stored: Stored): boolean {
  if (product.quantity !== stored.quantity) return false
  return feedColumns.every(({ key }) => product[key] === stored[key])
}

const selected = raw(feedColumns.map(({ key, column }) => `p.${column} AS "${key}"`).join(', '))

async function listStored(db: Queryable, feedIds: readonly string[]): Promise<Stored[]> {
  return db.rows<Stored>(sql`
    SELECT p.owner_id AS "ownerId", ${selected},
      coalesce((SELECT quantity FROM stock_levels WHERE product_id = p.id AND variant = 'default'), 0) AS quantity
    FROM products p WHERE p.feed_id = ANY (${feedIds}) AND p.feed_id IS NOT NULL AND p.deleted IS NULL`)
}
