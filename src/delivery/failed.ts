import { sql } from '../platform/db/sql.ts'
import type { Queryable, Tx } from '../platform/db/db.ts'
import { targetKey, wakeWorkers, type Target } from './wake.ts'

export interface FailedDelivery {
  id: string
  kind: string
  destination: string
  orderKey: string | null
  queuedAt: string
  failedAt: string
  attempts: number
  error: string
  payload: unknown
}

export interface FailedQuery {
  kind?: string
  destination?: string
  /** Only those after this one, in the order of the list. */
  after?: { failedAt: string; id: string }
  limit: number
}

/** What was given up, newest first. */
export async function listFailed(db: Queryable, query: FailedQuery): Promise<FailedDelivery[]> {
  return db.rows(sql`
    SELECT id, kind, destination, order_key AS "orderKey", queued_at AS "queuedAt", finished_at AS "failedAt", attempts, error, payload
      FROM deliveries_failed
     WHERE (${query.kind ?? null}::text IS NULL OR kind = ${query.kind ?? null})
       AND (${query.destination ?? null}::text IS NULL OR destination = ${query.destination ?? null})
       AND (finished_at, id) < (${query.after?.failedAt ?? 'infinity'}::timestamptz,
                                ${query.after?.id ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'}::uuid)
     ORDER BY finished_at DESC, id DESC LIMIT ${query.limit}`)
}

/**
 * Puts failed deliveries back as new ones with the same id and the same content, all tries before them. Returns how many there were: an id that
 * is not in the failed list is passed over, so calling it twice sends nothing twice.
 */
export async function replayFailed(tx: Tx, ids: readonly string[]): Promise<number> {
  const replayed = await tx.rows<Target>(sql`
    WITH taken AS (
      DELETE FROM deliveries_failed WHERE id = ANY(${ids}::uuid[]) RETURNING *
    ), queued AS (
      INSERT INTO deliveries (id, seq, kind, destination, order_key, queued_at, lease, payload, content)
      SELECT id, seq, kind, destination, order_key, queued_at, lease, payload, content FROM taken
      RETURNING kind, destination
    ), counted AS (
      INSERT INTO delivery_counts (kind, destination, failed)
      SELECT kind, destination, -count(*) FROM queued GROUP BY kind, destination
    )
    SELECT kind, destination FROM queued`)
  const targets = new Map(replayed.map((target) => [targetKey(target), target]))
  tx.afterCommit(() => wakeWorkers([...targets.values()]))
  return replayed.length
}

export interface DeliveryAttempt {
  attempt: number
  startedAt: string
  durationMs: number | null
  /** `lost`: the worker died with it. */
  result: 'succeeded' | 'retry' | 'failed' | 'parked' | 'lost'
  /** The worker's lease was over when it brought the result. */
  isRefused: boolean
  status: number | null
  /** At most 16 KB. */
  answer: string | null
  isCut: boolean
  error: string | null
  timings: Record<string, number> | null
}

/** Every logged attempt of one delivery, oldest first. */
export async function listAttempts(db: Queryable, deliveryId: string): Promise<DeliveryAttempt[]> {
  return db.rows(sql`
    SELECT attempt, started_at AS "startedAt", duration_ms AS "durationMs", result, is_refused AS "isRefused", status, answer,
           is_cut AS "isCut", error, timings
      FROM delivery_attempts WHERE delivery_id = ${deliveryId} ORDER BY started_at, attempt`)
}
