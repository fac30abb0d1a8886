import type { AudienceKey, Change } from '../../changes/index.ts'
import type { Queryable } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { ownerPresent } from './deleted-owners.ts'

interface BulkData {
  ownerId: string
  products: { id: string }[]
}

interface SingleData {
  ownerId: string
  productId: string
}

/** Who may hear of a product. Of a draft nobody else must learn that it exists. */
export function productAudience(state: 'AVAILABLE' | 'DRAFT', ownerId: string): AudienceKey[] {
  return state === 'AVAILABLE' ? ['public'] : [`user:${ownerId}`, 'staff']
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
  return hiddenChanges(db, caller, changes, (change) => (change.data as BulkData).products.map(({ id }) => id))
}

/** The same for changes of one product: it has been withdrawn or deleted since. */
export async function hiddenProductChange(
  db: Queryable,
  caller: Caller,
  changes: readonly Change[],
): Promise<ReadonlySet<string>> {
  return hiddenChanges(db, caller, changes, (change) => [(change.data as SingleData).productId])
}

type ProductIdsOf = (change: Change) => string[]

async function hiddenChanges(
  db: Queryable,
  caller: Caller,
  changes: readonly Change[],
  productIdsOf: ProductIdsOf,
): Promise<ReadonlySet<string>> {
  if (caller.isStaff) return new Set()
  const foreign = changes.filter((change) => (change.data as { ownerId: string }).ownerId !== caller.userId)
  const namesOne = (change: Change) => productIdsOf(change).length === 1
  // Nearly always the first product is still there, so most changes cost one look-up.
  const doubtful = await withoutVisible(db, foreign, (change) => productIdsOf(change).slice(0, 1))
  const [singles, bulks] = [doubtful.filter(namesOne), doubtful.filter((change) => !namesOne(change))]
  const hidden = [...singles, ...(await withoutVisible(db, bulks, productIdsOf))]
  return new Set(hidden.map((change) => change.id))
}

async function withoutVisible(
  db: Queryable,
  changes: readonly Change[],
  productIdsOf: ProductIdsOf,
): Promise<Change[]> {
  if (changes.length === 0) return []
  const rows = await db.rows<{ id: string }>(sql`
    SELECT id FROM products WHERE id = ANY(${changes.flatMap(productIdsOf)}) AND state = 'AVAILABLE' AND ${ownerPresent}`)
  const visible = new Set(rows.map((row) => row.id))
  return changes.filter((change) => !productIdsOf(change).some((id) => visible.has(id)))
}
