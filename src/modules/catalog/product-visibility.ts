import type { Change } from '../../changes/index.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { ownerPresent } from './deleted-owners.ts'

interface BulkData {
  ownerId: string
  products: { id: string }[]
}

/**
 * The changes of which the caller may see no product any more. One that still names a visible product stays: it holds nothing but ids, and
 * hiding it would hide the others. Owners and staff see their own to the end.
 */
export async function hiddenProductChanges(
  db: Queryable,
  caller: Caller,
  changes: readonly Change[],
): Promise<ReadonlySet<string>> {
  if (caller.isStaff) return new Set()
  const foreign = changes.filter((change) => dataOf(change).ownerId !== caller.userId)
  // Nearly always the first product is still there, so most changes cost one look-up.
  const doubtful = await withoutVisible(db, foreign, (change) => dataOf(change).products.slice(0, 1))
  const hidden = await withoutVisible(db, doubtful, (change) => dataOf(change).products)
  return new Set(hidden.map((change) => change.id))
}

async function withoutVisible(
  db: Queryable,
  changes: readonly Change[],
  productsOf: (change: Change) => { id: string }[],
): Promise<Change[]> {
  if (changes.length === 0) return []
  const productIds = changes.flatMap((change) => productsOf(change).map((product) => product.id))
  const rows = await db.rows<{ id: string }>(sql`
    SELECT id FROM products WHERE id = ANY(${productIds}) AND state = 'AVAILABLE' AND ${ownerPresent}`)
  const visible = new Set(rows.map((row) => row.id))
  return changes.filter((change) => !productsOf(change).some((product) => visible.has(product.id)))
}

function dataOf(change: Change): BulkData {
  return change.data as BulkData
}
