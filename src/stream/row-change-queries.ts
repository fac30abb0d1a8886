import type { Db, Queryable, Tx } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { RecordedRowChange } from './envelope.ts'

export interface StreamProgress {
  /** The last position given. */
  head: number
  /** The last position that is in Redis. */
  published: number
  /** Committed row changes without a position, counted up to a limit. */
  unplaced: number
  /** How long the first one that is not in Redis has been waiting. */
  waiting_seconds: number
}

/** Gives what was committed its positions, and returns the last one. */
export async function placeRowChanges(db: Db): Promise<number> {
  const row = await db.row<{ head: number }>(sql`SELECT head FROM place_row_changes()`)
  return row!.head
}

export async function selectRowChanges(
  db: Queryable,
  after: number,
  limits: { rows: number; bytes: number },
): Promise<RecordedRowChange[]> {
  return db.rows<RecordedRowChange>(sql`
    SELECT * FROM read_row_changes(${after}::bigint, ${limits.rows}::integer, ${limits.bytes}::bigint)`)
}

export async function selectCursor(db: Queryable): Promise<number> {
  const row = await db.row<{ position: number }>(sql`
    SELECT position FROM row_change_cursors ORDER BY id DESC LIMIT 1`)
  return row!.position
}

/** Not waiting for the disk: what a crash takes back here, the marker in Redis still knows. */
export async function insertCursor(db: Db, position: number): Promise<void> {
  await db.run(sql`
    INSERT INTO row_change_cursors (position) SELECT ${position}::bigint FROM set_config('synchronous_commit', 'off', true)`)
}

export interface Surroundings {
  database: string
  instants: string[]
}

/** What envelopes say that no row says: the name of the database, and which columns of the tables are instants. */
export async function selectSurroundings(db: Queryable): Promise<Surroundings> {
  const row = await db.row<Surroundings>(sql`
    SELECT current_database()::text AS database, ARRAY(
      SELECT DISTINCT a.attname::text FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid
      WHERE t.tgfoid = 'record_row_change'::regproc AND a.atttypid = 'timestamptz'::regtype) AS instants`)
  return row!
}

const COUNTED_AT_MOST = 100_000

export async function selectProgress(db: Queryable): Promise<StreamProgress> {
  const row = await db.row<StreamProgress>(sql`
    WITH pass AS MATERIALIZED (SELECT position, taken FROM row_change_passes ORDER BY id DESC LIMIT 1),
    cursor AS MATERIALIZED (SELECT position FROM row_change_cursors ORDER BY id DESC LIMIT 1),
    unplaced AS MATERIALIZED (
      SELECT recorded_at FROM row_changes WHERE xid >= (SELECT pg_snapshot_xmax(taken) FROM pass) LIMIT ${COUNTED_AT_MOST}::integer)
    SELECT pass.position AS head, cursor.position AS published, (SELECT count(*) FROM unplaced) AS unplaced,
           coalesce(extract(epoch FROM clock_timestamp() - coalesce(
             (SELECT p.recorded_at FROM row_change_positions p WHERE p.position > cursor.position ORDER BY p.position LIMIT 1),
             (SELECT min(recorded_at) FROM unplaced))), 0)::float8 AS waiting_seconds
    FROM pass, cursor`)
  return row!
}

/** Up to where the row changes of a table can go. */
export interface Floor {
  table_name: string
  position: number
}

/** Of each table: the last of those up to `upTo` that are older than `expiry` or have `kept` younger ones of their table after them. */
export async function selectFloors(db: Queryable, upTo: number, kept: number, expiry: string): Promise<Floor[]> {
  return db.rows<Floor>(sql`
    SELECT table_name, max(position) AS position FROM (
      SELECT table_name, position, recorded_at, row_number() OVER (PARTITION BY table_name ORDER BY position DESC) AS rank
      FROM row_change_positions WHERE position <= ${upTo}::bigint) ranked
    WHERE rank > ${kept}::bigint OR recorded_at < ${expiry}::timestamptz
    GROUP BY table_name`)
}

/** Removes the next row changes after a position and up to their floors; returns the last of them, undefined when there was none. */
export async function deleteRowChanges(
  tx: Tx,
  after: number,
  floors: readonly Floor[],
  limit: number,
): Promise<number | undefined> {
  const row = await tx.row<{ last: number | null }>(sql`
    WITH doomed AS MATERIALIZED (
      SELECT p.position, p.seq
      FROM row_change_positions p JOIN unnest(${floors.map((floor) => floor.table_name)}::text[],
        ${floors.map((floor) => floor.position)}::bigint[]) AS floor (table_name, position)
        ON floor.table_name = p.table_name AND p.position <= floor.position
      WHERE p.position > ${after}::bigint ORDER BY p.position LIMIT ${limit}::integer),
    places AS (DELETE FROM row_change_positions WHERE position IN (SELECT position FROM doomed)),
    rows AS (DELETE FROM row_changes WHERE seq IN (SELECT seq FROM doomed))
    SELECT max(position) AS last FROM doomed`)
  return row?.last ?? undefined
}

/** Removes all but the newest of what is kept append-only. */
export async function pruneProgress(tx: Tx): Promise<void> {
  await tx.run(sql`DELETE FROM row_change_passes WHERE id < (SELECT max(id) FROM row_change_passes)`)
  await tx.run(sql`DELETE FROM row_change_cursors WHERE id < (SELECT max(id) FROM row_change_cursors)`)
}

/** Any fixed number, the same in every process. */
const RETENTION_LOCK = 7_236_514_007

/** Whether this transaction is the only one that cleans up now. */
export async function lockRetention(tx: Tx): Promise<boolean> {
  const row = await tx.row<{ locked: boolean }>(
    sql`SELECT pg_try_advisory_xact_lock(${RETENTION_LOCK}::bigint) AS locked`,
  )
  return row!.locked
}
