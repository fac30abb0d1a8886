import { recordChange } from '../../changes/index.ts'
import { toTimestamp, type Clock } from '../../platform/clock.ts'
import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import { sql, type Sql } from '../../platform/db/sql.ts'
import type { Sweep } from '../../platform/sweep.ts'
import { lockOutOwner } from './deleted-owners.ts'
import { packProducts } from './feed-changes.ts'
import { countChanges, listed } from './product-counts.ts'
import { productsDeleted } from './topics.ts'

/** Products deleted per transaction. */
const BATCH = 250

/**
 * What the deletion of a user does here, in its transaction: from its commit on no list, count or path shows a product of the user and
 * none can be stored. The rows follow in batches (`deleteProductsSweep`). A second call changes nothing.
 */
export async function hideProductsOfUser(tx: Tx, user: { id: string }): Promise<void> {
  await lockOutOwner(tx, user.id)
  const added = await tx.run(sql`
    INSERT INTO deleted_owners (owner_id, deleted) VALUES (${user.id}, now()) ON CONFLICT DO NOTHING`)
  if (added === 0) return
  await tx.run(
    countChanges(sql`(
      SELECT condition, gender, brand, -1 AS change FROM products WHERE owner_id = ${user.id} AND ${listed}) hidden`),
  )
}

/** Deletes the products of deleted users, a batch per transaction. */
export function deleteProductsSweep({ db, clock }: { db: Db; clock: Clock }): Sweep {
  return {
    name: 'catalog.delete-products',
    everySeconds: 5,
    run: async () => {
      for (const ownerId of await listUnfinishedOwners(db)) {
        let isFinished = false
        while (!isFinished) isFinished = await db.transaction((tx) => deleteBatch(tx, ownerId, clock.now()))
      }
    },
  }
}

/** Frees feed ids whose product belongs to a deleted user and waits for its own deletion. */
export async function releaseFeedIds(tx: Tx, feedIds: readonly string[], now: Date): Promise<void> {
  for (const ownerId of await listUnfinishedOwners(tx)) {
    await deleteSelected(
      tx,
      ownerId,
      sql`owner_id = ${ownerId} AND feed_id = ANY(${feedIds}) AND feed_id IS NOT NULL`,
      now,
    )
  }
}

async function deleteBatch(tx: Tx, ownerId: string, now: Date): Promise<boolean> {
  const deleted = await deleteSelected(
    tx,
    ownerId,
    sql`id IN (SELECT id FROM products WHERE owner_id = ${ownerId} AND deleted IS NULL ORDER BY updated LIMIT ${BATCH})`,
    now,
  )
  if (deleted > 0) return false
  await tx.run(sql`UPDATE deleted_owners SET finished = ${toTimestamp(now)} WHERE owner_id = ${ownerId}
    AND NOT EXISTS (SELECT FROM products WHERE owner_id = ${ownerId} AND deleted IS NULL)`)
  return true
}

interface DeletedRow {
  id: string
  feedId: string | null
  state: string
}

/**
 * The counts were lowered when the products were hidden, so they are left alone here. Stock rows are locked in the order of everybody who
 * takes units, and products so that the lines of an order may still refer to them: neither waits in a circle with an order.
 */
async function deleteSelected(tx: Tx, ownerId: string, condition: Sql, now: Date): Promise<number> {
  const rows = await tx.rows<DeletedRow>(sql`
    WITH chosen AS MATERIALIZED (
      SELECT id, feed_id, state FROM products WHERE deleted IS NULL AND ${condition} ORDER BY id FOR NO KEY UPDATE
    ), gone AS (
      UPDATE products p SET state = 'DELETED', deleted = ${toTimestamp(now)}, updated = ${toTimestamp(now)}
      FROM chosen WHERE p.id = chosen.id
    ), stocked AS MATERIALIZED (
      SELECT s.product_id, s.variant FROM stock_levels s JOIN chosen ON s.product_id = chosen.id
      ORDER BY s.product_id, s.variant FOR UPDATE OF s
    ), unstocked AS (
      DELETE FROM stock_levels s USING stocked WHERE s.product_id = stocked.product_id AND s.variant = stocked.variant
    ), unsearchable AS (
      DELETE FROM product_search s USING chosen WHERE s.product_id = chosen.id
    )
    SELECT id, feed_id AS "feedId", state FROM chosen`)
  const published = rows.filter((row) => row.state === 'AVAILABLE')
  const drafts = rows.filter((row) => row.state === 'DRAFT')
  await recordDeleted(tx, ownerId, published, 'public')
  await recordDeleted(tx, ownerId, drafts, 'staff')
  return rows.length
}

async function recordDeleted(tx: Tx, ownerId: string, rows: DeletedRow[], heardBy: 'public' | 'staff'): Promise<void> {
  for (const products of packProducts(rows.map(({ id, feedId }) => ({ id, feedId })))) {
    await recordChange(tx, {
      topic: productsDeleted,
      subjectId: ownerId,
      actor: null,
      audience: [heardBy],
      data: { ownerId, products },
    })
  }
}

async function listUnfinishedOwners(db: Queryable): Promise<string[]> {
  const rows = await db.rows<{ ownerId: string }>(sql`
    SELECT owner_id AS "ownerId" FROM deleted_owners WHERE finished IS NULL ORDER BY owner_id`)
  return rows.map((row) => row.ownerId)
}
