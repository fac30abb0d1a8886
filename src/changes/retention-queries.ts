import type { Db, Queryable, Tx } from '../platform/db/db.ts'
import { raw, sql } from '../platform/db/sql.ts'

export interface Partition {
  first: number
  /** Exclusive. */
  end: number
  bytes: number
}

/** Any fixed number, the same in every process. */
const RETENTION_LOCK = 7_236_514_005

/** Whether this transaction is the only one that cleans up now. */
export async function lockRetention(tx: Tx): Promise<boolean> {
  const row = await tx.row<{ locked: boolean }>(
    sql`SELECT pg_try_advisory_xact_lock(${RETENTION_LOCK}::bigint) AS locked`,
  )
  return row!.locked
}

export async function selectPartitions(db: Queryable): Promise<Partition[]> {
  return db.rows<Partition>(sql`
    SELECT first_position AS first, end_position AS "end", change_partition_bytes(first_position) AS bytes
    FROM change_partitions ORDER BY first_position`)
}

/** When the change at a position was recorded; undefined when it is not there. */
export async function selectTime(db: Queryable, position: number): Promise<string | undefined> {
  const row = await db.row<{ recorded_at: string }>(sql`
    SELECT recorded_at FROM changes WHERE position = ${position}::bigint`)
  return row?.recorded_at
}

/** The lowest cursor of those subscribers that some process had in its code lately; undefined without any. */
export async function selectLowestCursor(db: Queryable, seenSince: Date): Promise<number | undefined> {
  const row = await db.row<{ position: number | null }>(sql`
    SELECT min(latest.position) AS position FROM subscribers s CROSS JOIN LATERAL (
      SELECT position FROM subscriber_progress p WHERE p.subscriber = s.name ORDER BY position DESC LIMIT 1) latest
    WHERE s.seen_at >= ${seenSince}`)
  return row?.position ?? undefined
}

export async function updateOldest(tx: Tx, oldest: number): Promise<void> {
  await tx.run(sql`UPDATE change_log SET oldest = ${oldest}::bigint WHERE oldest < ${oldest}::bigint`)
}

/** Waits for running readers, and new ones behind it, no longer than this; who dropped nothing tries again at the next run. */
const DROP_LOCK_TIMEOUT_MS = 100

export async function dropPartition(db: Db, partition: Partition): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.run(sql`SELECT set_config('lock_timeout', ${`${DROP_LOCK_TIMEOUT_MS}ms`}, true)`)
    await tx.run(sql`LOCK TABLE changes, change_audiences IN ACCESS EXCLUSIVE MODE`)
    await tx.run(
      sql`DROP TABLE IF EXISTS ${raw(`changes_${partition.first}`)}, ${raw(`change_audiences_${partition.first}`)}`,
    )
    await tx.run(sql`DELETE FROM change_partitions WHERE first_position = ${partition.first}::bigint`)
  })
}

/** Removes the expired part of a partition that will not be dropped soon. */
export async function deleteChangesBefore(tx: Tx, partition: Partition, position: number): Promise<number> {
  await tx.run(sql`
    DELETE FROM change_audiences WHERE position >= ${partition.first}::bigint AND position < ${position}::bigint`)
  return tx.run(
    sql`DELETE FROM changes WHERE position >= ${partition.first}::bigint AND position < ${position}::bigint`,
  )
}

/** Empties what is done with of the outbox; returns the number of slots. */
export async function trimOutbox(db: Db): Promise<number> {
  const row = await db.row<{ trimmed: number }>(sql`SELECT trim_outbox() AS trimmed`)
  return row!.trimmed
}

/** Removes all but the newest of what is kept append-only. */
export async function prunePasses(tx: Tx): Promise<void> {
  await tx.run(sql`DELETE FROM change_batches WHERE id < (SELECT max(id) FROM change_batches)`)
  await tx.run(sql`
    DELETE FROM subscriber_progress p USING subscribers s, LATERAL (
      SELECT position FROM subscriber_progress l WHERE l.subscriber = s.name ORDER BY position DESC LIMIT 1) latest
    WHERE p.subscriber = s.name AND p.position < latest.position`)
}

/** Forgets a subscriber, its cursor and what is parked for it. */
export async function deleteSubscriber(tx: Tx, name: string): Promise<boolean> {
  await tx.run(sql`DELETE FROM subscriber_progress WHERE subscriber = ${name}`)
  await tx.run(sql`DELETE FROM parked_changes WHERE subscriber = ${name}`)
  return (await tx.run(sql`DELETE FROM subscribers WHERE name = ${name}`)) > 0
}
