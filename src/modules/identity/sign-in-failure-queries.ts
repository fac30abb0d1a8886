import { sql } from '../../platform/db/sql.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import type { Timestamp } from '../../platform/clock.ts'
import { accountColumns, type Account } from './users-queries.ts'

/** Whose failures are counted, from where; more than `limit` of them within the window refuse the next attempt. */
export interface FailureKey {
  /** The user's id, or a bucket of names that nobody has. */
  subject: string
  address: string
  limit: number
}

export interface AccountWithFailures {
  account: Account | undefined
  /** Time of the failure that has to leave the window before another attempt is heard. */
  blockingFailureAt: Timestamp | null
}

/** Who has this name, and which failure blocks them at this address: one query. `unknown` is the subject when nobody has it. */
export async function findAccountWithFailures(
  db: Queryable,
  name: string,
  key: { unknown: string; address: string; limit: number },
): Promise<AccountWithFailures> {
  const row = await db.row<Account & { id: string | null; blockingFailureAt: Timestamp | null }>(sql`
    SELECT ${accountColumns}, f.times[cardinality(f.times) - ${key.limit}::int] AS "blockingFailureAt"
    FROM (VALUES (1)) AS one
    LEFT JOIN (login_names n JOIN users u ON u.id = n.user_id AND u.deleted IS NULL) ON n.name = ${name}
    LEFT JOIN sign_in_failures f ON f.subject = coalesce(u.id::text, ${key.unknown}::text) AND f.address = ${key.address}`)
  const { blockingFailureAt = null, ...account } = row ?? {}
  return { account: row?.id ? (account as Account) : undefined, blockingFailureAt }
}

/** Keeps the newest `limit` + 1 failures: the oldest of them decides, and guessing on adds no row. */
export async function insertFailure(tx: Tx, key: FailureKey, now: Date): Promise<Timestamp | null> {
  const row = await tx.row<{ blockingFailureAt: Timestamp | null }>(sql`
    INSERT INTO sign_in_failures AS f (subject, address, times, last_at)
    VALUES (${key.subject}, ${key.address}, ARRAY[${now}::timestamptz], ${now})
    ON CONFLICT (subject, address) DO UPDATE SET
      times = (f.times || excluded.times)[greatest(1, cardinality(f.times) + 1 - ${key.limit}::int):],
      last_at = excluded.last_at
    RETURNING f.times[cardinality(f.times) - ${key.limit}::int] AS "blockingFailureAt"`)
  return row?.blockingFailureAt ?? null
}

/**
 * Marks the user as signed in now, if the account is still the one whose password was checked, and returns the failure that blocks it
 * meanwhile. Undefined when the account has changed.
 */
export function saveLastLogin(
  tx: Tx,
  account: Account,
  key: FailureKey,
): Promise<Pick<AccountWithFailures, 'blockingFailureAt'> | undefined> {
  return tx.row(sql`
    UPDATE users SET last_login = now()
    WHERE id = ${account.id} AND password_hash = ${account.passwordHash} AND is_active AND deleted IS NULL
    RETURNING (SELECT f.times[cardinality(f.times) - ${key.limit}::int] FROM sign_in_failures f
      WHERE f.subject = ${key.subject} AND f.address = ${key.address}) AS "blockingFailureAt"`)
}

/** Deletes up to `limit` counters whose last failure is older than this. */
export function deleteFailuresBefore(tx: Tx, time: Date, limit: number): Promise<number> {
  return tx.run(sql`
    DELETE FROM sign_in_failures WHERE (subject, address) IN (
      SELECT subject, address FROM sign_in_failures WHERE last_at < ${time} LIMIT ${limit} FOR UPDATE SKIP LOCKED)`)
}
