import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import { sql, type Sql } from '../../platform/db/sql.ts'
import type { Caller } from '../../platform/http/caller.ts'
import type { Sweep } from '../../platform/sweep.ts'
import type { ProfileCounts } from '../identity/index.ts'

/**
 * The statement that counts follows in or out, to be a part of the statement that writes them: `source` names a relation with
 * `follower_id` and `followed_id`, `change` is 1 for rows that appear and -1 for rows that go.
 */
export function countFollows(source: Sql, change: 1 | -1): Sql {
  return sql`
    INSERT INTO follow_counts (user_id, followers, following, is_folded)
    SELECT followed_id, ${change}::bigint, 0, false FROM ${source}
    UNION ALL
    SELECT follower_id, 0, ${change}::bigint, false FROM ${source}`
}

/**
 * The counts of a profile, by one short range of an index however many followers there are: counting the rows themselves takes 50 ms and
 * more at a million. Exact, but for users deleted a moment ago (`departures.ts`).
 */
export async function countProfileFollows(db: Queryable, caller: Caller, userId: string): Promise<ProfileCounts> {
  const row = await db.row<ProfileCounts>(sql`
    SELECT coalesce(sum(followers), 0)::bigint AS "followersCount", coalesce(sum(following), 0)::bigint AS "followingCount",
      EXISTS (SELECT FROM follows WHERE follower_id = ${caller.userId} AND followed_id = ${userId}) AS "isFollowed"
    FROM follow_counts WHERE user_id = ${userId}`)
  return row!
}

/** Any fixed number: who folds holds it, another process leaves the work to it. */
const FOLD_LOCK = 7_236_514_102
/** Rows per transaction, so that one is short. */
const FOLD_ROWS = 2_000

/**
 * Replaces the rows of a user by their sum; returns the number of rows it began with. Rows of transactions still open are not seen and
 * stay; a reader sees either the rows or their sum, because both change in one statement.
 */
export async function foldFollowCounts(tx: Tx): Promise<number> {
  const lock = await tx.row<{ held: boolean }>(sql`SELECT pg_try_advisory_xact_lock(${FOLD_LOCK}) AS held`)
  if (lock?.held !== true) return 0
  const row = await tx.row<{ count: number }>(sql`
    WITH begun AS MATERIALIZED (
      SELECT user_id FROM follow_counts WHERE NOT is_folded ORDER BY user_id LIMIT ${FOLD_ROWS}
    ), removed AS (
      DELETE FROM follow_counts WHERE user_id IN (SELECT user_id FROM begun) RETURNING user_id, followers, following
    ), summed AS (
      INSERT INTO follow_counts (user_id, followers, following, is_folded)
      SELECT user_id, sum(followers), sum(following), true FROM removed
      GROUP BY user_id HAVING sum(followers) <> 0 OR sum(following) <> 0
    )
    SELECT count(*) FROM begun`)
  return row!.count
}

/** Folds whenever there is something to fold. */
export function foldFollowCountsSweep({ db }: { db: Db }): Sweep {
  return {
    name: 'social.fold-follow-counts',
    everySeconds: 5,
    run: async () => {
      let folded = FOLD_ROWS
      while (folded === FOLD_ROWS) folded = await db.transaction(foldFollowCounts)
    },
  }
}
