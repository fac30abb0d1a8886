import { sql } from '../platform/db/sql.ts'
import type { Connection } from './connection.ts'

type Rows = Connection['rows']

export async function insertWorker(rows: Rows, worker: string, leaseMs: number): Promise<void> {
  await rows(sql`
    INSERT INTO delivery_workers (id, alive_until)
    VALUES (${worker}, clock_timestamp() + ${leaseMs}::double precision * interval '1 millisecond')`)
}

/** False when others have declared the worker dead: its leases are gone. */
export async function renewWorker(rows: Rows, worker: string, leaseMs: number): Promise<boolean> {
  const renewed = await rows(sql`
    UPDATE delivery_workers SET alive_until = clock_timestamp() + ${leaseMs}::double precision * interval '1 millisecond'
     WHERE id = ${worker} RETURNING id`)
  return renewed.length === 1
}

/** Removes workers whose time has passed. Their rows stay locked until the transaction ends, so they can claim nothing meanwhile. */
export async function removeDeadWorkers(rows: Rows): Promise<string[]> {
  const dead = await rows<{ id: string }>(sql`
    DELETE FROM delivery_workers WHERE id IN (
      SELECT id FROM delivery_workers WHERE alive_until < clock_timestamp() FOR UPDATE SKIP LOCKED)
    RETURNING id`)
  return dead.map((worker) => worker.id)
}

/**
 * Gives back what removed workers held. The lease grows, so that a late result is refused. Work that was lost three times before waits a
 * little longer each time (up to 5 minutes): it may be what kills the workers.
 */
export async function giveBackLeases(rows: Rows, workers: readonly string[]): Promise<LostDelivery[]> {
  return rows(sql`
    UPDATE deliveries
       SET state = 'ready', worker = NULL, lease = lease + 1, losses = losses + 1,
           due_at = CASE WHEN losses < 3 THEN due_at
                    ELSE now() + least(power(2, least(losses, 12) - 3), 300) * interval '1 second' END
     WHERE state = 'leased' AND worker = ANY(${workers})
    RETURNING id, kind, destination, attempts`)
}

export interface LostDelivery {
  id: string
  kind: string
  destination: string
  attempts: number
}

export async function logLostAttempts(rows: Rows, lost: readonly LostDelivery[]): Promise<void> {
  await rows(sql`
    INSERT INTO delivery_attempts (delivery_id, kind, destination, attempt, started_at, result, error)
    SELECT id, kind, destination, attempts + 1, now(), 'lost', 'the worker died before a result was stored'
      FROM unnest(${lost.map((row) => row.id)}::uuid[], ${lost.map((row) => row.kind)}::text[],
                  ${lost.map((row) => row.destination)}::text[], ${lost.map((row) => row.attempts)}::int[])
        AS lost (id, kind, destination, attempts)`)
}

/** Ends a worker that stops in order: what it did not try goes back as if never claimed. */
export async function releaseWorker(rows: Rows, worker: string): Promise<void> {
  await rows(sql`
    WITH gone AS (DELETE FROM delivery_workers WHERE id = ${worker})
    UPDATE deliveries
       SET state = 'ready', worker = NULL, lease = lease + 1,
           first_attempt_at = CASE WHEN attempts = 0 AND losses = 0 THEN NULL ELSE first_attempt_at END
     WHERE state = 'leased' AND worker = ${worker}`)
}
