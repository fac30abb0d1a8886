import { sql } from '../../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../../platform/db/db.ts'
import type { Timestamp } from '../../../platform/clock.ts'
import { findImport, type ImportRow, type ImportState } from './import-queries.ts'
import { lockIsFree } from './lease-locks.ts'

/**
 * A worker that is silent for this long is taken for dead and its import is taken over. It speaks up every second. One whose process has
 * ended is known by its lock at once (`lease-locks.ts`).
 */
const LEASE_SECONDS = 10

export interface Claim {
  job: ImportRow
  token: string
  /** Claims since the last checkpoint, this one included. */
  attempts: number
}

/** Imports that wait for a worker or whose worker has died, oldest first. */
export async function listClaimable(db: Queryable, limit: number): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    SELECT id FROM imports
    WHERE finished_at IS NULL AND (lease_until IS NULL OR lease_until < now() OR (lease_token IS NOT NULL AND ${lockIsFree}))
    ORDER BY id LIMIT ${limit}`)
  return rows.map((row) => row.id)
}

/**
 * Gives an import to the holder of `token`; undefined when another worker was quicker. Leases are judged by the clock of the database, the
 * one clock that all workers share; with `isHolderGone`, known from the lock, the end of a lease is not waited for.
 */
export async function claimImport(
  tx: Tx,
  id: string,
  token: string,
  now: Timestamp,
  isHolderGone = false,
): Promise<Claim | undefined> {
  const claimed = await tx.row<{ attempts: number }>(sql`
    UPDATE imports
    SET state = CASE state WHEN 'queued' THEN 'running' ELSE state END, lease_token = ${token},
      lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), attempts = attempts + 1,
      started_at = coalesce(started_at, ${now})
    WHERE id = ${id} AND finished_at IS NULL
      AND (lease_until IS NULL OR lease_until < now() OR (lease_token IS NOT NULL AND ${isHolderGone}))
    RETURNING attempts`)
  if (claimed === undefined) return undefined
  const job = await findImport(tx, id)
  return { job: job!, token, attempts: claimed.attempts }
}

/** Locks an import for its holder; undefined when somebody else has taken it over or it has ended. */
export async function lockHeld(
  tx: Tx,
  id: string,
  token: string,
): Promise<Pick<ImportRow, 'state' | 'problems'> | undefined> {
  return tx.row<Pick<ImportRow, 'state' | 'problems'>>(sql`
    SELECT state, problem_count AS problems FROM imports WHERE id = ${id} AND lease_token = ${token} AND finished_at IS NULL FOR UPDATE`)
}

/** Keeps the lease for its holder and notes how far the check has come; undefined when the lease is lost. */
export async function renewLease(
  tx: Tx,
  claim: Claim,
  bytesChecked: number,
): Promise<{ state: ImportState } | undefined> {
  return tx.row<{ state: ImportState }>(sql`
    UPDATE imports
    SET lease_until = now() + make_interval(secs => ${LEASE_SECONDS}), bytes_checked = greatest(bytes_checked, ${bytesChecked})
    WHERE id = ${claim.job.id} AND lease_token = ${claim.token} AND finished_at IS NULL
    RETURNING state`)
}

/** Gives an import back so that it is claimed again, at the earliest after so many seconds. */
export async function releaseLease(db: Queryable, claim: Claim, seconds: number): Promise<void> {
  await db.run(sql`
    UPDATE imports SET lease_token = NULL, lease_until = now() + make_interval(secs => ${seconds})
    WHERE id = ${claim.job.id} AND lease_token = ${claim.token} AND finished_at IS NULL`)
}

export async function markChecked(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`
    UPDATE imports SET is_checked = true, bytes_checked = bytes_total, attempts = 0 WHERE id = ${id}`)
}

/** Imports that wait longer than this many hours although workers look for work: no worker has their file. */
export async function listAbandoned(db: Queryable, hours: number): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    SELECT id FROM imports
    WHERE finished_at IS NULL AND requested_at < now() - make_interval(hours => ${hours})
      AND (lease_until IS NULL OR lease_until < now() - make_interval(hours => ${hours}))`)
  return rows.map((row) => row.id)
}

/**
 * The commit of this transaction does not wait for the disk. A power cut then takes back the newest batches with their checkpoint and
 * their changes, and the import does them again. Nobody has heard of a change that is taken back: the sequencer's commit does wait, and
 * with it everything written before it is on disk.
 */
export async function commitWithoutWaiting(tx: Tx): Promise<void> {
  await tx.run(sql`SELECT set_config('synchronous_commit', 'off', true)`)
}
