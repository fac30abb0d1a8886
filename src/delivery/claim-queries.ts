import { sql, type Sql } from '../platform/db/sql.ts'
import type { Connection } from './connection.ts'
import type { Delivery } from './kind.ts'

type Rows = Connection['rows']

/** What a worker must know about a destination that has work waiting. */
export interface WaitingDestination extends Place {
  kind: string
  destination: string
  /** Milliseconds until its first delivery is due; 0 or less: now. */
  dueInMs: number
  slots: number | null
  isStrict: boolean
  isEnabled: boolean
  pausedMs: number
}

export interface ClaimRequest {
  kind: string
  destination: string
  limit: number
  /** Looks only behind this place of the index; without it, from the beginning. */
  after: Place | undefined
}

/** A place in the order in which a destination's deliveries are claimed. */
export interface Place {
  dueAt: string
  seq: number
}

/**
 * Due times are judged by the later of the worker's clock and the database's: queueing uses the database's, and a clock that runs behind it
 * must not hold back new work.
 */
function timeFor(now: Date): Sql {
  return sql`greatest(${now.toISOString()}::timestamptz, now())`
}

/** Every destination with something ready, one step in the index for each, however much is waiting there. */
export async function findWaiting(rows: Rows, kinds: readonly string[], now: Date): Promise<WaitingDestination[]> {
  return rows(sql`
    WITH RECURSIVE clock AS (SELECT ${timeFor(now)} AS at)
    SELECT kinds.kind, waiting.destination, waiting.due_at AS "dueAt", waiting.seq, settings.slots,
           extract(epoch FROM waiting.due_at - clock.at)::float8 * 1000 AS "dueInMs",
           coalesce(settings.ordering = 'strict', false) AS "isStrict", coalesce(settings.is_enabled, true) AS "isEnabled",
           coalesce(extract(epoch FROM settings.paused_until - clock.at), 0)::float8 * 1000 AS "pausedMs"
      FROM clock
     CROSS JOIN unnest(${kinds}::text[]) AS kinds (kind)
     CROSS JOIN LATERAL (
       WITH RECURSIVE step AS (
         (SELECT destination, due_at, seq FROM deliveries
           WHERE state = 'ready' AND kind = kinds.kind ORDER BY destination, due_at, seq LIMIT 1)
         UNION ALL
         SELECT next.destination, next.due_at, next.seq FROM step CROSS JOIN LATERAL (
           SELECT destination, due_at, seq FROM deliveries
            WHERE state = 'ready' AND kind = kinds.kind AND destination > step.destination
            ORDER BY destination, due_at, seq LIMIT 1) next
       ) SELECT destination, due_at, seq FROM step
     ) waiting
      LEFT JOIN delivery_destinations settings ON settings.kind = kinds.kind AND settings.destination = waiting.destination`)
}

/** Leases due work of destinations without order, at most `limit` for each; what another worker is taking is skipped. */
export async function claim(
  rows: Rows,
  worker: string,
  requests: readonly ClaimRequest[],
  now: Date,
): Promise<Delivery[]> {
  const claimed = await rows<Delivery>(sql`
    WITH clock AS (SELECT ${timeFor(now)} AS at),
    -- Holds off whoever would declare this worker dead in the middle of the claim.
    me AS (SELECT id FROM delivery_workers WHERE id = ${worker} FOR KEY SHARE),
    picked AS MATERIALIZED (
      SELECT found.id
        FROM me CROSS JOIN clock
       CROSS JOIN unnest(
         ${requests.map((request) => request.kind)}::text[], ${requests.map((request) => request.destination)}::text[],
         ${requests.map((request) => request.limit)}::int[],
         ${requests.map((request) => request.after?.dueAt ?? '-infinity')}::timestamptz[],
         ${requests.map((request) => request.after?.seq ?? 0)}::int8[]
       ) AS request (kind, destination, room, after_due, after_seq)
       CROSS JOIN LATERAL (
         SELECT id FROM deliveries
          WHERE state = 'ready' AND kind = request.kind AND destination = request.destination
            AND (due_at, seq) > (request.after_due, request.after_seq) AND due_at <= clock.at
          ORDER BY kind, destination, due_at, seq LIMIT request.room FOR UPDATE SKIP LOCKED
       ) found
       WHERE NOT EXISTS (
         SELECT FROM delivery_destinations settings
          WHERE settings.kind = request.kind AND settings.destination = request.destination
            AND (NOT settings.is_enabled OR settings.ordering = 'strict' OR settings.paused_until > clock.at))
    )
    UPDATE deliveries SET ${leaseTo(worker)} FROM picked, clock WHERE deliveries.id = picked.id
    RETURNING ${deliveryColumns}`)
  return inOrder(claimed)
}

/** Strict claims of one destination look at this many waiting deliveries at a time. */
const STRICT_WINDOW = 500

/**
 * Leases due work of a destination with strict order: only the first unfinished delivery of each key; later ones are set aside as `held`
 * until the one before them is finished. Runs in a transaction that has locked the destination, as do results, so that no release is missed.
 */
export async function claimStrict(
  rows: Rows,
  worker: string,
  request: ClaimRequest,
  now: Date,
): Promise<{ claimed: Delivery[]; held: number }> {
  const { kind, destination } = request
  const judged = await rows<Delivery & { state: string }>(sql`
    WITH clock AS (SELECT ${timeFor(now)} AS at),
    me AS (SELECT id FROM delivery_workers WHERE id = ${worker} FOR KEY SHARE),
    candidate AS MATERIALIZED (
      SELECT deliveries.id, order_key, seq, due_at FROM me CROSS JOIN clock CROSS JOIN deliveries
       WHERE state = 'ready' AND kind = ${kind} AND destination = ${destination} AND due_at <= clock.at
       ORDER BY kind, destination, due_at, seq LIMIT ${STRICT_WINDOW}
    ), judged AS (
      SELECT candidate.*, EXISTS (
        SELECT FROM deliveries earlier
         WHERE earlier.kind = ${kind} AND earlier.destination = ${destination}
           AND earlier.order_key = candidate.order_key AND earlier.seq < candidate.seq) AS is_behind
        FROM candidate
    ), decided AS (
      SELECT id, is_behind, row_number() OVER (PARTITION BY is_behind ORDER BY due_at, seq) AS place FROM judged
    ), parked AS (
      UPDATE deliveries SET state = 'held' FROM decided WHERE deliveries.id = decided.id AND is_behind
      RETURNING ${deliveryColumns}, state
    ), leased AS (
      UPDATE deliveries SET ${leaseTo(worker)} FROM decided, clock
       WHERE deliveries.id = decided.id AND NOT is_behind AND place <= ${request.limit}
      RETURNING ${deliveryColumns}, state
    )
    SELECT * FROM parked UNION ALL SELECT * FROM leased`)
  const claimed = judged.filter((row) => row.state === 'leased')
  return { claimed: inOrder(claimed), held: judged.length - claimed.length }
}

/** Locks the destination against other strict claims and results; false when it may not be served now. */
export async function lockStrict(rows: Rows, request: ClaimRequest, now: Date): Promise<boolean> {
  const locked = await rows(sql`
    SELECT kind FROM delivery_destinations
     WHERE kind = ${request.kind} AND destination = ${request.destination} AND is_enabled AND ordering = 'strict'
       AND coalesce(paused_until <= ${timeFor(now)}, true)
       FOR UPDATE`)
  return locked.length === 1
}

/** Stores what was rendered, if the lease still holds; returns the ids it was stored for. */
export async function storeContents(
  rows: Rows,
  contents: readonly { delivery: Delivery; content: unknown }[],
): Promise<Set<string>> {
  const stored = await rows<{ id: string }>(sql`
    UPDATE deliveries SET content = input.content
      FROM unnest(${contents.map(({ delivery }) => delivery.id)}::uuid[], ${contents.map(({ delivery }) => delivery.lease)}::int[],
                  ${contents.map(({ content }) => JSON.stringify(content))}::json[]) AS input (id, lease, content)
     WHERE deliveries.id = input.id AND deliveries.lease = input.lease AND deliveries.state = 'leased'
    RETURNING deliveries.id`)
  return new Set(stored.map((row) => row.id))
}

/** Gives back what was claimed and not tried. */
export async function giveBack(rows: Rows, deliveries: readonly Delivery[]): Promise<void> {
  await rows(sql`
    UPDATE deliveries SET state = 'ready', worker = NULL, lease = deliveries.lease + 1
      FROM unnest(${deliveries.map((delivery) => delivery.id)}::uuid[], ${deliveries.map((delivery) => delivery.lease)}::int[])
           AS input (id, lease)
     WHERE deliveries.id = input.id AND deliveries.lease = input.lease AND deliveries.state = 'leased'`)
}

/** Gives back what the worker holds without knowing: the answer to a claim may have been lost on its way. */
export async function giveBackUnknown(rows: Rows, worker: string, known: readonly string[]): Promise<void> {
  await rows(sql`
    UPDATE deliveries SET state = 'ready', worker = NULL, lease = lease + 1
     WHERE state = 'leased' AND worker = ${worker} AND id <> ALL(${known}::uuid[])`)
}

function leaseTo(worker: string): Sql {
  return sql`state = 'leased', worker = ${worker}, lease = lease + 1, first_attempt_at = coalesce(first_attempt_at, clock.at)`
}

const deliveryColumns = sql`
  deliveries.id, deliveries.kind, deliveries.destination, deliveries.order_key AS "orderKey", deliveries.queued_at AS "queuedAt",
  deliveries.expires_at AS "expiresAt", deliveries.attempts, deliveries.lease, deliveries.first_attempt_at AS "firstAttemptAt",
  deliveries.due_at AS "dueAt", deliveries.seq, deliveries.payload, deliveries.content`

function inOrder(claimed: Delivery[]): Delivery[] {
  return claimed.toSorted((a, b) => compare(a.dueAt, b.dueAt) || compare(a.seq, b.seq))
}

function compare<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
