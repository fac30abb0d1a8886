import type { Queryable, Tx } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'

/** Any fixed number, the same in every process. */
const REGISTRATION_LOCK = 7_236_514_004

/** Where a subscriber stands, as seen under its lock. */
export interface Standing {
  position: number
  /** Of the keys asked for, those with a parked change. */
  parkedKeys: string[]
}

export interface Claim {
  /** How many processes in a row took over at this cursor. */
  claims: number
  /** Where a change was being tried alone when its process ended. */
  trialPosition: number | null
}

/** Makes the names known, and says that code for them runs; returns those that are new. */
export async function registerSubscribers(
  tx: Tx,
  subscribers: { name: string; fromStart: boolean }[],
): Promise<string[]> {
  const names = subscribers.map((subscriber) => subscriber.name)
  // One registration at a time, because only the first of all starts at the beginning of the log. Not a table lock: that would wait for
  // subscribers at work.
  await tx.run(sql`SELECT pg_advisory_xact_lock(${REGISTRATION_LOCK}::bigint)`)
  const start = await tx.row<{ isFirst: boolean; oldest: number; head: number }>(sql`
    SELECT NOT EXISTS (SELECT FROM subscribers) AS "isFirst", oldest - 1 AS oldest,
           (SELECT position FROM change_batches ORDER BY id DESC LIMIT 1) AS head FROM change_log`)
  const added = await tx.rows<{ name: string }>(sql`
    INSERT INTO subscribers (name) SELECT unnest(${names}::text[]) ON CONFLICT (name) DO NOTHING RETURNING name`)
  await tx.run(sql`UPDATE subscribers SET seen_at = now() WHERE name = ANY (${names}::text[])`)
  const isNew = new Set(added.map((row) => row.name))
  const starting = subscribers.filter((subscriber) => isNew.has(subscriber.name))
  const positions = starting.map(({ fromStart }) => (fromStart || start!.isFirst ? start!.oldest : start!.head))
  await tx.run(sql`
    INSERT INTO subscriber_progress (subscriber, position)
    SELECT * FROM unnest(${starting.map((subscriber) => subscriber.name)}::text[], ${positions}::bigint[])`)
  return starting.map((subscriber) => subscriber.name)
}

/** Says that code for these names still runs. */
export async function touchSubscribers(tx: Tx, names: readonly string[]): Promise<void> {
  await tx.run(sql`UPDATE subscribers SET seen_at = now() WHERE name = ANY (${names}::text[])`)
}

/** Whether this transaction now is the one that may run the subscriber; never waits. */
export async function lockSubscriber(tx: Tx, name: string): Promise<boolean> {
  const row = await tx.row(sql`SELECT FROM subscribers WHERE name = ${name} FOR NO KEY UPDATE SKIP LOCKED`)
  return row !== undefined
}

/** The same, waiting for whoever runs it now; false when the subscriber is not registered. */
export async function awaitSubscriber(tx: Tx, name: string): Promise<boolean> {
  const row = await tx.row(sql`SELECT FROM subscribers WHERE name = ${name} FOR NO KEY UPDATE`)
  return row !== undefined
}

/** To be asked after the lock, in a statement of its own: a snapshot of before the lock may show an older cursor. */
export async function selectStanding(tx: Tx, name: string, keys: readonly string[]): Promise<Standing> {
  const row = await tx.row<Standing>(sql`
    SELECT (SELECT position FROM subscriber_progress WHERE subscriber = ${name} ORDER BY position DESC LIMIT 1) AS position,
           ARRAY(SELECT DISTINCT key FROM parked_changes WHERE subscriber = ${name} AND key = ANY (${keys}::text[])) AS "parkedKeys"`)
  return row!
}

export async function selectCursors(db: Queryable, names: readonly string[]): Promise<Map<string, number>> {
  const rows = await db.rows<{ name: string; position: number }>(sql`
    SELECT wanted.name, latest.position FROM unnest(${names}::text[]) AS wanted (name) CROSS JOIN LATERAL (
      SELECT position FROM subscriber_progress p WHERE p.subscriber = wanted.name ORDER BY position DESC LIMIT 1) latest`)
  return new Map(rows.map((row) => [row.name, row.position]))
}

/** Appends rather than updates: a row updated hundreds of times a second decays while any old transaction is open. */
export async function insertProgress(tx: Tx, names: readonly string[], positions: readonly number[]): Promise<void> {
  await tx.run(sql`
    INSERT INTO subscriber_progress (subscriber, position)
    SELECT * FROM unnest(${names}::text[], ${positions}::bigint[]) ON CONFLICT DO NOTHING`)
}

/** Whether the log is still that of the epoch and reaches this far, or an older copy of itself in which positions mean something else. */
export async function isSameLog(db: Queryable, epoch: string, position: number): Promise<boolean> {
  const row = await db.row<{ same: boolean }>(sql`
    SELECT epoch = ${epoch} AND (SELECT position FROM change_batches ORDER BY id DESC LIMIT 1) >= ${position}::bigint AS same FROM change_log`)
  return row!.same
}

/** Notes that a process begins to run the subscriber where its cursor stands. */
export async function claimSubscriber(tx: Tx, name: string, position: number): Promise<Claim> {
  const claim = await tx.row<Claim>(sql`
    UPDATE subscribers SET claims = CASE WHEN claim_position = ${position}::bigint THEN claims + 1 ELSE 1 END, claim_position = ${position}::bigint
    WHERE name = ${name} RETURNING claims, trial_position AS "trialPosition"`)
  return claim!
}

/** A process that ends in good order leaves no suspicion behind. */
export async function clearClaims(tx: Tx, names: readonly string[]): Promise<void> {
  await tx.run(sql`UPDATE subscribers SET claims = 0, trial_position = NULL WHERE name = ANY (${names}::text[])`)
}

/** Notes, in a transaction before the one of the work, that this change is about to be tried alone. */
export async function saveTrial(tx: Tx, name: string, position: number): Promise<void> {
  await tx.run(sql`UPDATE subscribers SET trial_position = ${position}::bigint WHERE name = ${name}`)
}
