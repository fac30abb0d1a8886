import type { Queryable } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Seconds without renewal after which a key counts as left by a dead process (contracts README, item 7). */
export const LEASE_SECONDS = 60

export interface StoredAnswer {
  status: number
  headers: Record<string, string>
  body: Buffer
}

export interface KeyClaim {
  userId: string
  key: string
  fingerprint: Buffer
  claim: string
}

interface KeyRow {
  claimed: boolean
  fingerprint: Buffer
  status: number | null
  headers: Record<string, string> | null
  body: Buffer | null
}

/**
 * Takes the key, or shows who has it, in one statement. The times are the database's: several processes must agree on them. Undefined when
 * the other row was committed while this ran; asking again finds it.
 */
export async function claimKey(
  db: Queryable,
  { userId, key, fingerprint, claim }: KeyClaim,
): Promise<KeyRow | undefined> {
  return db.row<KeyRow>(sql`
    WITH claimed AS (
      INSERT INTO idempotency_keys AS held (user_id, key, fingerprint, claim, lease_until, expires_at)
      VALUES (${userId}, ${key}, ${fingerprint}, ${claim}, now() + make_interval(secs => ${LEASE_SECONDS}), now() + interval '24 hours')
      ON CONFLICT (user_id, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, claim = excluded.claim, lease_until = excluded.lease_until,
            expires_at = excluded.expires_at, status = NULL, headers = NULL, body = NULL
        WHERE held.expires_at <= now()
           OR (held.status IS NULL AND held.lease_until <= now() AND held.fingerprint = excluded.fingerprint)
      RETURNING fingerprint
    )
    SELECT true AS claimed, fingerprint, NULL::smallint AS status, NULL::jsonb AS headers, NULL::bytea AS body FROM claimed
    UNION ALL
    SELECT false, fingerprint, status, headers, body FROM idempotency_keys
    WHERE user_id = ${userId} AND key = ${key} AND NOT EXISTS (SELECT FROM claimed)`)
}

/** Keeps the key while its request still runs. */
export async function renewLease(db: Queryable, { userId, key, claim }: KeyClaim): Promise<void> {
  await db.run(sql`
    UPDATE idempotency_keys SET lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
    WHERE user_id = ${userId} AND key = ${key} AND claim = ${claim} AND status IS NULL`)
}

/** Keeps the answer for repetitions, unless the key was taken over meanwhile. */
export async function storeAnswer(
  db: Queryable,
  { userId, key, claim }: KeyClaim,
  answer: StoredAnswer,
): Promise<void> {
  await db.run(sql`
    UPDATE idempotency_keys SET status = ${answer.status}, headers = ${answer.headers}, body = ${answer.body}
    WHERE user_id = ${userId} AND key = ${key} AND claim = ${claim} AND status IS NULL`)
}

/** Frees the key, so that the request may be tried again at once. */
export async function releaseKey(db: Queryable, { userId, key, claim }: KeyClaim): Promise<void> {
  await db.run(sql`
    DELETE FROM idempotency_keys WHERE user_id = ${userId} AND key = ${key} AND claim = ${claim} AND status IS NULL`)
}

/** Deletes at most `limit` keys past their day and returns how many went. */
export async function deleteExpiredKeys(db: Queryable, limit: number): Promise<number> {
  return db.run(sql`
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM idempotency_keys WHERE expires_at <= now() LIMIT ${limit} FOR UPDATE SKIP LOCKED))`)
}
