import type { Queryable } from '../platform/db/db.ts'
import { sql, type Sql } from '../platform/db/sql.ts'
import { parseTopicPatterns } from './topic-pattern.ts'
import type { AudienceKey, Change, LoggedChange } from './topic.ts'

export interface Head {
  /** A position means nothing under another epoch. */
  epoch: string
  /** The last position given; 0 when none was. */
  position: number
  /** The first position still kept; one after the head when there is none. */
  oldest: number
}

export interface ReadQuery {
  /** Exclusive. */
  after: number
  /** Inclusive; default the head. */
  upTo?: number
  /** Names, or beginnings with a trailing `*`; default all. */
  topics?: readonly string[]
  /** Keys of which one must match, or everything. */
  audience: 'all' | readonly AudienceKey[]
  limit: number
}

export interface Pass {
  head: number
  taken: number
  more: boolean
}

const BEYOND_ANY_POSITION = Number.MAX_SAFE_INTEGER

export async function selectHead(db: Queryable): Promise<Head> {
  const head = await db.row<Head>(sql`
    SELECT epoch, oldest, (SELECT position FROM change_batches ORDER BY id DESC LIMIT 1) AS position FROM change_log`)
  return head!
}

/** One pass of the sequencer, for a connection that runs it as a transaction of its own. */
export function sequencePass(batchLimit: number, partitionBytes: number): Sql {
  return sql`SELECT head, taken, more FROM sequence_changes(${batchLimit}::integer, ${partitionBytes}::bigint)`
}

export async function selectChanges(db: Queryable, query: ReadQuery): Promise<LoggedChange[]> {
  const keys = query.audience === 'all' ? null : query.audience
  const topics = query.topics === undefined ? undefined : parseTopicPatterns(query.topics)
  const rows = await db.rows<ChangeRow>(sql`
    SELECT position, id, topic, subject_type, subject_id, key, actor, audience, data::text AS json, recorded_at
    FROM read_changes(${query.after}::bigint, ${query.upTo ?? BEYOND_ANY_POSITION}::bigint, ${keys}::text[],
                      ${topics?.names ?? null}::text[], ${topics?.prefixes ?? null}::text[], ${query.limit}::integer)`)
  return rows.map(toChange)
}

/** Committed changes that have no position yet, counted up to a limit. */
export async function countUnplaced(db: Queryable, limit: number): Promise<number> {
  const row = await db.row<{ count: number }>(sql`
    SELECT count(*) AS count FROM (
      SELECT FROM outbox, ${newestBatch}
      WHERE seq > coalesce(target_seq, taken_seq) AND NOT pg_visible_in_snapshot(xid, taken) LIMIT ${limit}::integer) unplaced`)
  return row!.count
}

/** Whether every committed change with a number up to this has its position; looks through the whole outbox. */
export async function isPlaced(db: Queryable, upToSeq: number): Promise<boolean> {
  const row = await db.row<{ placed: boolean }>(sql`
    SELECT NOT EXISTS (
      SELECT FROM outbox, ${newestBatch}
      WHERE seq <= ${upToSeq}::bigint AND NOT pg_visible_in_snapshot(xid, taken)
        AND (target IS NULL OR seq > target_seq OR NOT pg_visible_in_snapshot(xid, target))) AS placed`)
  return row!.placed
}

const newestBatch = sql`(SELECT taken, taken_seq, target, target_seq FROM change_batches ORDER BY id DESC LIMIT 1) newest`

interface ChangeRow {
  position: number
  id: string
  topic: string
  subject_type: string
  subject_id: string
  key: string
  actor: string | null
  audience: AudienceKey[]
  json: string
  recorded_at: string
}

function toChange(row: ChangeRow): LoggedChange {
  const { json } = row
  let data: unknown
  const change: Change = {
    position: row.position,
    id: row.id,
    topic: row.topic,
    subject: { type: row.subject_type, id: row.subject_id },
    key: row.key,
    actor: row.actor,
    audience: row.audience,
    get data() {
      return (data ??= JSON.parse(json))
    },
    time: row.recorded_at,
  }
  // Not among the members that are copied and written down: it is `data` once more.
  return Object.defineProperty(change, 'json', { value: json }) as LoggedChange
}
