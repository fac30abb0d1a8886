import type { Timestamp } from '../../platform/clock.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'

/** As many ids as a mail names (contracts/README.md, decision 13). */
export const MAX_NAMED_IDS = 100

export interface Upload {
  id: string
  ownerId: string
  username: string
  email: string | null
  fileName: string
  /** Why the file was refused as a whole; null when it was read to its end. */
  failure: string | null
  createdCount: number
  existingCount: number
  problematicCount: number
  existingIds: string[]
  problematicIds: string[]
  created: Timestamp
}

export async function insertUpload(tx: Tx, upload: Upload): Promise<void> {
  await tx.run(sql`
    INSERT INTO uploads (id, owner_id, username, email, file_name, failure, created_count, existing_count, problematic_count,
      existing_ids, problematic_ids, created)
    VALUES (${upload.id}, ${upload.ownerId}, ${upload.username}, ${upload.email}, ${upload.fileName}, ${upload.failure},
      ${upload.createdCount}, ${upload.existingCount}, ${upload.problematicCount},
      ${upload.existingIds}, ${upload.problematicIds}, ${upload.created})`)
}

export async function listUploadsByIds(db: Queryable, ids: readonly string[]): Promise<Upload[]> {
  return db.rows<Upload>(sql`
    SELECT id, owner_id AS "ownerId", username, email, file_name AS "fileName", failure, created_count AS "createdCount",
      existing_count AS "existingCount", problematic_count AS "problematicCount", existing_ids AS "existingIds",
      problematic_ids AS "problematicIds", created
    FROM uploads WHERE id = ANY(${ids}::uuid[])`)
}
