import { empty, sql, type Sql } from '../platform/db/sql.ts'
import type { Connection } from './connection.ts'
import type { Delivery } from './kind.ts'

type Rows = Connection['rows']

/** How an attempt ended, decided: retry or final. */
export interface Result {
  delivery: Delivery
  result: 'succeeded' | 'failed' | 'retry' | 'parked'
  error: string | null
  /** Until the next try; only with `retry`. */
  delayMs: number
  pauseMs: number
  keepsPayload: boolean
  /** False when nothing was sent: it came too late. */
  isAttempt: boolean
  startedAt: string
  durationMs: number
  status: number | null
  answer: string | null
  isCut: boolean
  timings: Record<string, number> | null
}

/**
 * Stores results in one statement: finished work leaves the hot table, the rest gets its next time, totals and attempt log follow. Returns the
 * ids that were accepted; a result whose lease is no longer the newest is refused and changes nothing but the attempt log.
 */
export async function storeResults(
  rows: Rows,
  results: readonly Result[],
  options: { now: Date; withAttempts: boolean },
): Promise<Set<string>> {
  const accepted = await rows<{ id: string }>(sql`
    WITH clock AS (SELECT greatest(${options.now.toISOString()}::timestamptz, now()) AS at),
    input AS (${inputOf(results)}),
    finished AS (
      DELETE FROM deliveries USING input
       WHERE deliveries.id = input.id AND deliveries.lease = input.lease AND state = 'leased' AND result IN ('succeeded', 'failed')
      RETURNING deliveries.*, input.result, input.error, input.keeps_payload, input.is_attempt
    ), succeeded AS (
      INSERT INTO deliveries_succeeded (id, seq, kind, destination, order_key, queued_at, finished_at, attempts, payload)
      SELECT id, seq, kind, destination, order_key, queued_at, now(), attempts + is_attempt, CASE WHEN keeps_payload THEN payload END
        FROM finished WHERE result = 'succeeded'
    ), failed AS (
      INSERT INTO deliveries_failed
             (id, seq, kind, destination, order_key, queued_at, finished_at, attempts, lease, error, payload, content)
      SELECT id, seq, kind, destination, order_key, queued_at, now(), attempts + is_attempt, lease, error, payload, content
        FROM finished WHERE result = 'failed'
    ), waiting AS (
      UPDATE deliveries
         SET state = 'ready', worker = NULL, attempts = deliveries.attempts + 1, last_error = input.error,
             due_at = clock.at + input.delay_ms * interval '1 millisecond'
        FROM input, clock
       WHERE deliveries.id = input.id AND deliveries.lease = input.lease AND state = 'leased' AND result IN ('retry', 'parked')
      RETURNING deliveries.id, deliveries.kind, deliveries.destination, input.result, input.error, input.pause_ms
    ), counted AS (
      INSERT INTO delivery_counts (kind, destination, succeeded, failed)
      SELECT kind, destination, count(*) FILTER (WHERE result = 'succeeded'), count(*) FILTER (WHERE result = 'failed')
        FROM finished GROUP BY kind, destination
    ), slowed AS (
      INSERT INTO delivery_destinations AS settings (kind, destination, is_enabled, disabled_reason, paused_until)
      SELECT waiting.kind, waiting.destination, NOT bool_or(result = 'parked'), max(error) FILTER (WHERE result = 'parked'),
             max(clock.at) + max(pause_ms) * interval '1 millisecond'
        FROM waiting, clock WHERE result = 'parked' OR pause_ms > 0
       GROUP BY waiting.kind, waiting.destination ORDER BY 1, 2
      ON CONFLICT (kind, destination) DO UPDATE
         SET is_enabled = settings.is_enabled AND excluded.is_enabled,
             disabled_reason = coalesce(settings.disabled_reason, excluded.disabled_reason),
             paused_until = greatest(settings.paused_until, excluded.paused_until)
    ), accepted AS (
      SELECT id FROM finished UNION ALL SELECT id FROM waiting
    )${options.withAttempts ? attemptLog : empty}
    SELECT id FROM accepted`)
  return new Set(accepted.map((row) => row.id))
}

const attemptLog = sql`, logged AS (
      INSERT INTO delivery_attempts (delivery_id, kind, destination, attempt, started_at, duration_ms, result, is_refused,
                                     status, answer, is_cut, error, timings)
      SELECT id, kind, destination, attempt, started_at, duration_ms, result, id NOT IN (SELECT id FROM accepted),
             status, answer, is_cut, error, timings
        FROM input WHERE is_attempt = 1
    )`

function inputOf(results: readonly Result[]): Sql {
  const column = <T>(of: (result: Result) => T): T[] => results.map(of)
  return sql`
    SELECT * FROM unnest(
      ${column(({ delivery }) => delivery.id)}::uuid[], ${column(({ delivery }) => delivery.lease)}::int[],
      ${column(({ delivery }) => delivery.kind)}::text[], ${column(({ delivery }) => delivery.destination)}::text[],
      ${column(({ delivery }) => delivery.attempts + 1)}::int[], ${column(({ result }) => result)}::text[],
      ${column(({ error }) => error)}::text[], ${column(({ delayMs }) => delayMs)}::float8[],
      ${column(({ pauseMs }) => pauseMs)}::float8[], ${column(({ keepsPayload }) => keepsPayload)}::bool[],
      ${column(({ isAttempt }) => Number(isAttempt))}::int[], ${column(({ startedAt }) => startedAt)}::timestamptz[], ${column(({ durationMs }) => durationMs)}::float8[],
      ${column(({ status }) => status)}::int[], ${column(({ answer }) => answer)}::text[],
      ${column(({ isCut }) => isCut)}::bool[],
      ${column(({ timings }) => (timings === null ? null : JSON.stringify(timings)))}::json[]
    ) AS input (id, lease, kind, destination, attempt, result, error, delay_ms, pause_ms, keeps_payload, is_attempt,
                started_at, duration_ms, status, answer, is_cut, timings)`
}

/** Keeps claims in strict order away from these destinations until the transaction ends; in one order, against deadlocks. */
export async function lockOrdering(rows: Rows, deliveries: readonly Delivery[]): Promise<void> {
  await rows(sql`
    SELECT settings.kind FROM delivery_destinations settings
     WHERE (settings.kind, settings.destination) IN (
       SELECT * FROM unnest(${deliveries.map((delivery) => delivery.kind)}::text[],
                            ${deliveries.map((delivery) => delivery.destination)}::text[]))
     ORDER BY settings.kind, settings.destination FOR UPDATE`)
}

/** Lets the next held delivery of each of these order keys go, if it is now the first. A statement of its own: it must see the results. */
export async function releaseNext(rows: Rows, deliveries: readonly Delivery[]): Promise<void> {
  await rows(sql`
    UPDATE deliveries SET state = 'ready'
     WHERE state = 'held' AND id IN (
       SELECT first.id
         FROM unnest(${deliveries.map((delivery) => delivery.kind)}::text[], ${deliveries.map((delivery) => delivery.destination)}::text[],
                     ${deliveries.map((delivery) => delivery.orderKey)}::text[]) AS done (kind, destination, order_key)
        CROSS JOIN LATERAL (
          SELECT id FROM deliveries
           WHERE kind = done.kind AND destination = done.destination AND order_key = done.order_key
           ORDER BY kind, destination, order_key, seq LIMIT 1
        ) first)`)
}
