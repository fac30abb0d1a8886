import type { Queryable } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import { countUnplaced, selectHead, type Head } from './log-queries.ts'
import { countParked } from './parked-queries.ts'

export interface SubscriberStatus {
  name: string
  position: number
  /** Positions between its cursor and the head; up to a second of changes of other topics may be among them. */
  lag: number
  /** Set aside after a failure, and waiting behind such ones; tried again without help. */
  retrying: number
  /** Given up after five tries, and waiting behind such ones; until somebody replays or drops them. */
  parked: number
  /** When a process last had it in its code. */
  seenAt: string
}

export interface LogStatus extends Head {
  /** Committed changes without a position, counted up to 10,000. */
  unsequenced: number
  subscribers: SubscriberStatus[]
}

const COUNT_LIMIT = 10_000

export async function readStatus(db: Queryable): Promise<LogStatus> {
  const head = await selectHead(db)
  const unsequenced = await countUnplaced(db, COUNT_LIMIT)
  const cursors = await selectSubscribers(db)
  const counts = new Map((await countParked(db)).map((count) => [count.subscriber, count]))
  const subscribers = cursors.map((cursor) => ({
    ...cursor,
    lag: Math.max(0, head.position - cursor.position),
    retrying: counts.get(cursor.name)?.retrying ?? 0,
    parked: counts.get(cursor.name)?.parked ?? 0,
  }))
  return { ...head, unsequenced, subscribers }
}

async function selectSubscribers(db: Queryable): Promise<{ name: string; position: number; seenAt: string }[]> {
  return db.rows(sql`
    SELECT s.name, latest.position, s.seen_at AS "seenAt" FROM subscribers s CROSS JOIN LATERAL (
      SELECT position FROM subscriber_progress p WHERE p.subscriber = s.name ORDER BY position DESC LIMIT 1) latest
    ORDER BY s.name`)
}
