import type { Timestamp } from '../../platform/clock.ts'
import type { Queryable, Tx } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import { countFollows } from './follow-counts.ts'

export interface FollowRow {
  id: string
  followerId: string
  followedId: string
}

/**
 * Undefined when there is one already, or the follower has as many as `most`; waits for another transaction that is just making it. The limit
 * is not exact between requests of one user at the same moment.
 */
export function insertFollow(
  tx: Tx,
  { id, followerId, followedId }: FollowRow,
  { followedAt, most }: { followedAt: Timestamp; most: number },
): Promise<FollowRow | undefined> {
  return tx.row<FollowRow>(sql`
    WITH added AS (
      INSERT INTO follows (id, follower_id, followed_id, followed_at)
      SELECT ${id}, ${followerId}, ${followedId}, ${followedAt}
      WHERE (SELECT coalesce(sum(following), 0) FROM follow_counts WHERE user_id = ${followerId}) < ${most}
      ON CONFLICT ON CONSTRAINT follows_key DO NOTHING RETURNING id, follower_id, followed_id
    ), counted AS (${countFollows(sql`added`, 1)})
    SELECT id, follower_id AS "followerId", followed_id AS "followedId" FROM added`)
}

export async function isFollowing(db: Queryable, followerId: string, followedId: string): Promise<boolean> {
  const row = await db.row(sql`SELECT FROM follows WHERE follower_id = ${followerId} AND followed_id = ${followedId}`)
  return row !== undefined
}

/** Undefined when there is none. */
export function deleteFollow(tx: Tx, followerId: string, followedId: string): Promise<FollowRow | undefined> {
  return tx.row<FollowRow>(sql`
    WITH gone AS (
      DELETE FROM follows WHERE follower_id = ${followerId} AND followed_id = ${followedId}
      RETURNING id, follower_id, followed_id
    ), counted AS (${countFollows(sql`gone`, -1)})
    SELECT id, follower_id AS "followerId", followed_id AS "followedId" FROM gone`)
}

export interface FollowerRow {
  userId: string
  followedAt: Timestamp
}

interface Stretch {
  before: Timestamp | undefined
  limit: number
}

/** Newest first: `limit` of them and those that share the time of the last one, without deleted users. */
export function listFollowers(db: Queryable, userId: string, { before, limit }: Stretch): Promise<FollowerRow[]> {
  return db.rows<FollowerRow>(sql`
    SELECT follower_id AS "userId", followed_at AS "followedAt" FROM follows
    WHERE followed_id = ${userId} AND followed_at < ${before ?? 'infinity'}::timestamptz
      AND follower_id NOT IN (SELECT user_id FROM departed_users)
    ORDER BY followed_at DESC FETCH FIRST ${limit} ROWS WITH TIES`)
}

/** The same for those whom a user follows. */
export function listFollowed(db: Queryable, userId: string, { before, limit }: Stretch): Promise<FollowerRow[]> {
  return db.rows<FollowerRow>(sql`
    SELECT followed_id AS "userId", followed_at AS "followedAt" FROM follows
    WHERE follower_id = ${userId} AND followed_at < ${before ?? 'infinity'}::timestamptz
      AND followed_id NOT IN (SELECT user_id FROM departed_users)
    ORDER BY followed_at DESC FETCH FIRST ${limit} ROWS WITH TIES`)
}

/** Everybody whom a user follows. */
export async function listFollowedIds(db: Queryable, userId: string): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`SELECT followed_id AS id FROM follows WHERE follower_id = ${userId}`)
  return rows.map((row) => row.id)
}
