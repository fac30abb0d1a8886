import { sql } from '../../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import type { Timestamp } from '../../../platform/clock.ts'

export type ImportState = 'queued' | 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'
export type ImportMode = 'create' | 'update'

export interface ImportRow {
  id: string
  ownerId: string
  username: string
  email: string | null
  fileName: string
  mode: ImportMode
  dryRun: boolean
  state: ImportState
  isCompressed: boolean
  bytesTotal: number
  isChecked: boolean
  bytesChecked: number
  itemsRead: number
  bytesRead: number
  created: number
  updated: number
  unchanged: number
  existing: number
  problematic: number
  problems: number
  existingIds: string[]
  problematicIds: string[]
  error: string | null
  errorLine: number | null
  errorColumn: number | null
  requestedAt: Timestamp
  startedAt: Timestamp | null
  finishedAt: Timestamp | null
}

export interface NewImport {
  id: string
  ownerId: string
  username: string
  email: string | null
  fileName: string
  mode: ImportMode
  dryRun: boolean
  isCompressed: boolean
  bytesTotal: number
  isChecked: boolean
  requestedAt: Timestamp
}

const columns = sql`
  id, owner_id AS "ownerId", username, email, file_name AS "fileName", mode, dry_run AS "dryRun", state,
  is_compressed AS "isCompressed", bytes_total AS "bytesTotal", is_checked AS "isChecked", bytes_checked AS "bytesChecked",
  items_read AS "itemsRead", bytes_read AS "bytesRead", created_count AS created, updated_count AS updated,
  unchanged_count AS unchanged, existing_count AS existing, problematic_count AS problematic, problem_count AS problems,
  existing_ids AS "existingIds", problematic_ids AS "problematicIds",
  error, error_line AS "errorLine", error_column AS "errorColumn",
  requested_at AS "requestedAt", started_at AS "startedAt", finished_at AS "finishedAt"`

export async function insertImport(tx: Tx, row: NewImport): Promise<ImportRow> {
  const inserted = await tx.row<ImportRow>(sql`
    INSERT INTO imports
      (id, owner_id, username, email, file_name, mode, dry_run, state, is_compressed, bytes_total, is_checked, bytes_checked,
       requested_at)
    VALUES (${row.id}, ${row.ownerId}, ${row.username}, ${row.email}, ${row.fileName}, ${row.mode}, ${row.dryRun}, 'queued',
      ${row.isCompressed}, ${row.bytesTotal}, ${row.isChecked}, ${row.isChecked ? row.bytesTotal : 0}, ${row.requestedAt})
    RETURNING ${columns}`)
  return inserted!
}

export async function findImport(db: Queryable, id: string): Promise<ImportRow | undefined> {
  return db.row<ImportRow>(sql`SELECT ${columns} FROM imports WHERE id = ${id}`)
}

export async function lockImport(tx: Tx, id: string): Promise<ImportRow | undefined> {
  return tx.row<ImportRow>(sql`SELECT ${columns} FROM imports WHERE id = ${id} FOR UPDATE`)
}

/** Imports of one user, newest first, older than `before`. Ids are made of the time, so their order is that of requesting. */
export async function listImports(
  db: Queryable,
  query: { ownerId: string; before: string | null; limit: number },
): Promise<ImportRow[]> {
  return db.rows<ImportRow>(sql`
    SELECT ${columns} FROM imports
    WHERE owner_id = ${query.ownerId} AND (${query.before}::uuid IS NULL OR id < ${query.before})
    ORDER BY id DESC LIMIT ${query.limit}`)
}

export async function listUnfinishedIds(db: Queryable): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`SELECT id FROM imports WHERE finished_at IS NULL`)
  return rows.map((row) => row.id)
}

export interface Ending {
  state: 'succeeded' | 'failed' | 'cancelled'
  error?: string | undefined
  line?: number | null
  column?: number | null
}

/** Ends an import that the caller has locked. */
export async function endImport(tx: Tx, id: string, ending: Ending, now: Timestamp): Promise<ImportRow> {
  const isWhole = ending.state === 'succeeded'
  const ended = await tx.row<ImportRow>(sql`
    UPDATE imports
    SET state = ${ending.state}, error = ${ending.error ?? null}, error_line = ${ending.line ?? null},
      error_column = ${ending.column ?? null}, finished_at = ${now}, lease_token = NULL, lease_until = NULL,
      bytes_read = CASE WHEN ${isWhole} THEN bytes_total ELSE bytes_read END
    WHERE id = ${id} RETURNING ${columns}`)
  return ended!
}

export async function markCancelling(tx: Tx, id: string): Promise<ImportRow> {
  const marked = await tx.row<ImportRow>(
    sql`UPDATE imports SET state = 'cancelling' WHERE id = ${id} RETURNING ${columns}`,
  )
  return marked!
}

/** What one batch adds to the figures of its import. */
export interface Checkpoint {
  itemsRead: number
  bytesRead: number
  created: number
  updated: number
  unchanged: number
  existing: readonly string[]
  problematic: number
  problematicIds: readonly string[]
  problems: number
}

/** As many ids as a mail names, see contracts/README.md, decision 13. */
const NAMED_IDS = 100

export async function saveCheckpoint(tx: Tx, id: string, step: Checkpoint): Promise<ImportRow> {
  const saved = await tx.row<ImportRow>(sql`
    UPDATE imports
    SET items_read = ${step.itemsRead}, bytes_read = ${step.bytesRead}, created_count = created_count + ${step.created},
      updated_count = updated_count + ${step.updated}, unchanged_count = unchanged_count + ${step.unchanged},
      existing_count = existing_count + ${step.existing.length}, problematic_count = problematic_count + ${step.problematic},
      problem_count = problem_count + ${step.problems},
      existing_ids = (existing_ids || ${step.existing.slice(0, NAMED_IDS)}::text[])[1:${NAMED_IDS}],
      problematic_ids = (problematic_ids || ${step.problematicIds.slice(0, NAMED_IDS)}::text[])[1:${NAMED_IDS}],
      attempts = 0
    WHERE id = ${id} RETURNING ${columns}`)
  return saved!
}

/** Whether the last progress was told a second ago or more; if so, this one counts as told. The row must be locked. */
export async function takeProgressTurn(tx: Tx, id: string): Promise<boolean> {
  const taken = await tx.run(sql`
    UPDATE imports SET progress_at = now()
    WHERE id = ${id} AND (progress_at IS NULL OR progress_at <= now() - interval '1 second')`)
  return taken === 1
}

/** Of these ids, those that this import meets for the first time; the others it has met before. Equal ids in one call: met once. */
export async function meetIds(tx: Tx, importId: string, feedIds: readonly string[]): Promise<Set<string>> {
  const rows = await tx.rows<{ feedId: string }>(sql`
    INSERT INTO import_ids (import_id, feed_id)
    SELECT ${importId}, unnest(${feedIds}::text[]) ON CONFLICT DO NOTHING RETURNING feed_id AS "feedId"`)
  return new Set(rows.map((row) => row.feedId))
}

/** Removes some of the remembered ids of imports that have ended; returns how many. */
export async function forgetIds(tx: Tx, limit: number): Promise<number> {
  return tx.run(sql`
    DELETE FROM import_ids WHERE ctid = ANY (ARRAY(
      SELECT met.ctid FROM import_ids met JOIN imports i ON i.id = met.import_id WHERE i.finished_at IS NOT NULL LIMIT ${limit}))`)
}
