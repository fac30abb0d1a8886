import type { Queryable, Tx } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { Change } from './topic.ts'

/** A change that a subscriber could not handle, or one that waits behind such a one of the same key. */
export interface ParkedChange {
  subscriber: string
  change: Change
  /** 0 while it waits behind another. */
  attempts: number
  error: string | null
  parkedAt: string
  /** When it is tried again by itself; null for those that wait for somebody to replay them, and for those behind another. */
  retryAt: string | null
}

export interface ParkedCount {
  subscriber: string
  /** Waiting for a try that comes by itself, or behind such a change. */
  retrying: number
  /** Waiting for somebody, or behind such a change. */
  parked: number
}

export interface ParkedFilter {
  id?: string
  key?: string
}

/** Sets the change aside after its first try; `retryInMs` from now it is tried again. */
export async function insertFailed(
  tx: Tx,
  subscriber: string,
  change: Change,
  error: string,
  retryInMs: number,
): Promise<void> {
  await tx.run(sql`
    INSERT INTO parked_changes (subscriber, position, key, change, attempts, error, retry_at)
    VALUES (${subscriber}, ${change.position}, ${change.key}, ${JSON.stringify(change)}, 1, ${error},
            now() + ${retryInMs}::integer * interval '1 millisecond')`)
}

/** Puts changes behind an earlier one of their key. */
export async function insertHeld(tx: Tx, subscriber: string, changes: readonly Change[]): Promise<void> {
  await tx.run(sql`
    INSERT INTO parked_changes (subscriber, position, key, change, attempts)
    SELECT ${subscriber}, (change->>'position')::bigint, change->>'key', change, 0
    FROM jsonb_array_elements(${JSON.stringify(changes)}::jsonb) AS held (change)`)
}

/** The next change that is due, or undefined; its try is counted from now on, `waitsMs` long and then for somebody to replay it. */
export async function beginRetry(tx: Tx, subscriber: string, waitsMs: readonly number[]): Promise<Change | undefined> {
  const row = await tx.row<{ change: Change }>(sql`
    UPDATE parked_changes SET attempts = attempts + 1,
      retry_at = now() + (${waitsMs}::integer[])[attempts + 1] * interval '1 millisecond'
    WHERE subscriber = ${subscriber} AND position = (
      SELECT position FROM parked_changes WHERE subscriber = ${subscriber} AND retry_at <= now() ORDER BY retry_at, position LIMIT 1)
    RETURNING change`)
  return row?.change
}

/** Removes a change and makes the next one of its key due. */
export async function deleteParked(tx: Tx, subscriber: string, position: number, key: string): Promise<number> {
  const deleted = await tx.run(
    sql`DELETE FROM parked_changes WHERE subscriber = ${subscriber} AND position = ${position}::bigint`,
  )
  await tx.run(sql`
    UPDATE parked_changes SET retry_at = now() WHERE subscriber = ${subscriber} AND attempts = 0 AND position = (
      SELECT min(position) FROM parked_changes WHERE subscriber = ${subscriber} AND key = ${key})`)
  return deleted
}

export async function saveRetryError(tx: Tx, subscriber: string, position: number, error: string): Promise<void> {
  await tx.run(sql`
    UPDATE parked_changes SET error = ${error} WHERE subscriber = ${subscriber} AND position = ${position}::bigint`)
}

/** Makes the first change of each matching key due, as if it had never been tried; returns how many keys. */
export async function releaseParked(tx: Tx, subscriber: string, { id, key }: ParkedFilter): Promise<number> {
  return tx.run(sql`
    UPDATE parked_changes SET attempts = 0, retry_at = now() WHERE subscriber = ${subscriber} AND position IN (
      SELECT min(position) FROM parked_changes
      WHERE subscriber = ${subscriber} AND (${key ?? null}::text IS NULL OR key = ${key ?? null}::text)
      GROUP BY key HAVING ${id ?? null}::text IS NULL OR bool_or(change->>'id' = ${id ?? null}::text))`)
}

export async function findParked(
  tx: Tx,
  subscriber: string,
  id: string,
): Promise<{ position: number; key: string } | undefined> {
  return tx.row(sql`
    SELECT position, key FROM parked_changes WHERE subscriber = ${subscriber} AND change->>'id' = ${id}`)
}

export async function selectParked(
  db: Queryable,
  subscriber: string | undefined,
  limit: number,
): Promise<ParkedChange[]> {
  return db.rows<ParkedChange>(sql`
    SELECT subscriber, change, attempts, error, parked_at AS "parkedAt", retry_at AS "retryAt" FROM parked_changes
    WHERE ${subscriber ?? null}::text IS NULL OR subscriber = ${subscriber ?? null}::text ORDER BY subscriber, position LIMIT ${limit}::integer`)
}

export async function countParked(db: Queryable): Promise<ParkedCount[]> {
  return db.rows<ParkedCount>(sql`
    SELECT subscriber, count(*) FILTER (WHERE is_retrying) AS retrying, count(*) FILTER (WHERE NOT is_retrying) AS parked
    FROM (SELECT subscriber, bool_or(retry_at IS NOT NULL) OVER (PARTITION BY subscriber, key) AS is_retrying FROM parked_changes) per_change
    GROUP BY subscriber`)
}

/** Subscribers of which a parked change is due. */
export async function selectDue(db: Queryable, names: readonly string[]): Promise<string[]> {
  const rows = await db.rows<{ subscriber: string }>(sql`
    SELECT DISTINCT subscriber FROM parked_changes WHERE subscriber = ANY (${names}::text[]) AND retry_at <= now()`)
  return rows.map((row) => row.subscriber)
}
