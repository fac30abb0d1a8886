import { TooManyRequestsError } from '../../platform/errors.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import type { Timestamp } from '../../platform/clock.ts'
import { digestOf } from './tokens.ts'
import { accountColumns, type Account } from './users-queries.ts'

/** Identity contract, section 1.3: failures within 5 minutes, a sliding window. */
export const FAILURE_WINDOW_MS = 5 * 60_000

/** Whose failures are counted, from where; more than `limit` of them within the window refuse the next attempt. */
export interface FailureKey {
  /** The user's id, or a bucket of names that nobody has. */
  subject: string
  address: string
  limit: number
}

/**
 * The subject for a name that no user has. Names share 65,536 buckets, so that guessing names leaves a bounded number of rows; whoever
 * shares one shares it with other names that do not exist.
 */
export function unknownSubject(name: string): string {
  return `?${digestOf(name).readUInt16BE(0)}`
}

/** IPv6 hands a whole /64 to one subscriber, so that is what one address means there. */
export function addressOf(ip: string): string {
  if (!ip.includes(':') || ip.includes('.')) return ip.replace(/^::ffff:/i, '')
  const [head = '', tail] = ip.toLowerCase().split('::')
  const groups = head.split(':').filter((group) => group !== '')
  const rest = tail === undefined ? [] : tail.split(':').filter((group) => group !== '')
  const zeros = Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill('0')
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(':')}::/64`
}

export interface AccountWithFailures {
  account: Account | undefined
  /** Time of the failure that has to leave the window before another attempt is heard. */
  blockingFailureAt: Timestamp | null
}

/** Who has this name, and whether too many of their sign-ins failed from this address: one query. */
export async function findAccountWithFailures(
  db: Queryable,
  name: string,
  address: string,
  limit: number,
): Promise<AccountWithFailures> {
  const row = await db.row<Account & { id: string | null; blockingFailureAt: Timestamp | null }>(sql`
    SELECT ${accountColumns}, f.times[cardinality(f.times) - ${limit}::int] AS "blockingFailureAt"
    FROM (VALUES (1)) AS one
    LEFT JOIN (login_names n JOIN users u ON u.id = n.user_id AND u.deleted IS NULL) ON n.name = ${name}
    LEFT JOIN sign_in_failures f
      ON f.subject = coalesce(u.id::text, ${unknownSubject(name)}::text) AND f.address = ${address}`)
  const { blockingFailureAt = null, ...account } = row ?? {}
  return { account: row?.id ? (account as Account) : undefined, blockingFailureAt }
}

/** Counts one failed sign-in and throws TooManyRequestsError when it is one too many. */
export async function countFailure(db: Db, key: FailureKey, now: Date): Promise<void> {
  if (key.limit === 0) return
  const blockingFailureAt = await db.transaction((tx) => insertFailure(tx, key, now))
  refuseIfBlocked(blockingFailureAt, now)
}

export function refuseIfBlocked(blockingFailureAt: Timestamp | null, now: Date): void {
  if (blockingFailureAt === null) return
  const until = Date.parse(blockingFailureAt) + FAILURE_WINDOW_MS
  if (until <= now.getTime()) return
  throw new TooManyRequestsError(
    'Too many failed sign-ins. Try again later.',
    Math.min(until - now.getTime(), FAILURE_WINDOW_MS) / 1000,
  )
}

/** Keeps the newest `limit` + 1 failures: the oldest of them decides, and guessing on adds no row. */
async function insertFailure(tx: Tx, key: FailureKey, now: Date): Promise<Timestamp | null> {
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
 * Marks the user as signed in now. False when the account is no longer the one whose password was checked; throws
 * TooManyRequestsError when guesses that ran beside this one have used up the failures meanwhile.
 */
export async function saveLastLogin(tx: Tx, account: Account, key: FailureKey, now: Date): Promise<boolean> {
  const row = await tx.row<{ blockingFailureAt: Timestamp | null }>(sql`
    UPDATE users SET last_login = now()
    WHERE id = ${account.id} AND password_hash = ${account.passwordHash} AND is_active AND deleted IS NULL
    RETURNING (SELECT f.times[cardinality(f.times) - ${key.limit}::int] FROM sign_in_failures f
      WHERE f.subject = ${key.subject} AND f.address = ${key.address}) AS "blockingFailureAt"`)
  if (row !== undefined && key.limit > 0) refuseIfBlocked(row.blockingFailureAt, now)
  return row !== undefined
}

/** Deletes up to `limit` counters whose last failure has left the window. */
export function deleteOldFailures(tx: Tx, now: Date, limit: number): Promise<number> {
  const windowStart = new Date(now.getTime() - FAILURE_WINDOW_MS)
  return tx.run(sql`
    DELETE FROM sign_in_failures WHERE (subject, address) IN (
      SELECT subject, address FROM sign_in_failures WHERE last_at < ${windowStart} LIMIT ${limit} FOR UPDATE SKIP LOCKED)`)
}
