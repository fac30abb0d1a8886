import type { Db, Queryable, Tx } from '../../../platform/db/db.ts'
import { sql } from '../../../platform/db/sql.ts'
import type { Sweep } from '../../../platform/sweep.ts'
import { joinedTagNames } from './product-filter.ts'

/** Documents whose tag names are written anew in one transaction. */
const BATCH = 500

/**
 * After a tag was renamed or deleted, in that transaction: products are no longer found by the old name. Of a tag with many products the
 * documents of the rest follow in batches (`refreshTagNames`); until then who searches asks the tags as well (`currentTagNames`).
 */
export async function forgetTagName(tx: Tx, tagId: string): Promise<void> {
  const last = await refreshBatch(tx, tagId, null)
  if (last === undefined) return
  await tx.run(sql`
    INSERT INTO stale_tags (tag_id, after) VALUES (${tagId}, ${last})
    ON CONFLICT (tag_id) DO UPDATE SET after = excluded.after`)
}

/** Writes the next batch of documents of tags that were renamed or deleted; false when there are none, or others are at it. Harmless twice. */
export async function refreshTagNames(tx: Tx): Promise<boolean> {
  const stale = await tx.row<{ tagId: string; after: string }>(sql`
    SELECT tag_id AS "tagId", after FROM stale_tags ORDER BY tag_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`)
  if (stale === undefined) return false
  const last = await refreshBatch(tx, stale.tagId, stale.after)
  if (last === undefined) await tx.run(sql`DELETE FROM stale_tags WHERE tag_id = ${stale.tagId}`)
  else await tx.run(sql`UPDATE stale_tags SET after = ${last} WHERE tag_id = ${stale.tagId}`)
  return true
}

/** The last product of the batch; undefined when no others follow. */
async function refreshBatch(tx: Tx, tagId: string, after: string | null): Promise<string | undefined> {
  const ids = await listBearers(tx, tagId, after)
  // Locked by a statement of its own, so that the next one sees what those have written that were waited for.
  await tx.run(
    sql`SELECT FROM product_search WHERE product_id = ANY(${ids}::uuid[]) ORDER BY product_id FOR NO KEY UPDATE`,
  )
  await tx.run(sql`
    UPDATE product_search d SET tag_names = n.tag_names, words = NULL
    FROM unnest(${ids}::uuid[]) AS given (product_id),
      LATERAL (${joinedTagNames(sql`given.product_id`)}) AS n (tag_names)
    WHERE d.product_id = given.product_id AND d.tag_names <> n.tag_names`)
  return ids.length < BATCH ? undefined : ids.at(-1)
}

async function listBearers(db: Queryable, tagId: string, after: string | null): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    SELECT product_id AS id FROM product_tags
    WHERE tag_id = ${tagId} AND (${after}::uuid IS NULL OR product_id > ${after}::uuid)
    ORDER BY product_id LIMIT ${BATCH}`)
  return rows.map((row) => row.id)
}

/** Brings the documents of renamed and deleted tags up to date that were too many for the transaction that did it. */
export function refreshTagNamesSweep({ db }: { db: Db }): Sweep {
  return {
    name: 'catalog.refresh-tag-names',
    everySeconds: 1,
    run: async () => {
      let hasMore = true
      while (hasMore) hasMore = await db.transaction(refreshTagNames)
    },
  }
}
