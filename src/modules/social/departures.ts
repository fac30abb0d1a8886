import { recordChange } from '../../changes/index.ts'
import type { Db, Queryable, Tx } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import type { Sweep } from '../../platform/sweep.ts'
import { countFollows } from './follow-counts.ts'
import { followsEnded } from './topics.ts'

/** Class of the advisory locks whose second number is made of the user; any fixed number. */
const USER_LOCK = 723_652
/** Follows removed per transaction; those of nearly every user go with the user. */
const BATCH = 250

/**
 * Makes a deletion of these users wait until this transaction has ended, so that no follow is stored behind it; whether they are still there
 * must be asked by a later statement. Sorted, so that nobody waits in a circle; those who follow do not wait for each other.
 */
export async function holdUsers(tx: Tx, userIds: readonly string[]): Promise<void> {
  await tx.run(sql`
    SELECT pg_advisory_xact_lock_shared(${USER_LOCK}, lock)
    FROM (SELECT DISTINCT hashtext(id) AS lock FROM unnest(${userIds}::text[]) AS id ORDER BY lock) AS sorted`)
}

/**
 * What the deletion of a user does here, in its transaction: from its commit on no list shows the user. The follows themselves go in
 * batches, the first one at once; until the last one the counts of the others include the user.
 */
export async function endFollowsOfUser(tx: Tx, user: { id: string }): Promise<void> {
  await tx.run(sql`SELECT pg_advisory_xact_lock(${USER_LOCK}, hashtext(${user.id}))`)
  await tx.run(sql`INSERT INTO departed_users (user_id) VALUES (${user.id}) ON CONFLICT DO NOTHING`)
  await removeBatch(tx, user.id)
}

/** Removes the follows of deleted users, a batch per transaction. */
export function endFollowsSweep({ db }: { db: Db }): Sweep {
  return {
    name: 'social.end-follows',
    everySeconds: 5,
    run: async () => {
      for (const userId of await listDeparted(db)) {
        let isFinished = false
        while (!isFinished) isFinished = await db.transaction((tx) => removeBatch(tx, userId))
      }
    },
  }
}

/** Whether those were the last ones. In the order of an index, so that no batch looks again at what those before it have removed. */
async function removeBatch(tx: Tx, userId: string): Promise<boolean> {
  const rows = await tx.rows<{ otherId: string }>(sql`
    WITH chosen AS MATERIALIZED (
      SELECT id FROM follows WHERE id IN (
        (SELECT id FROM follows WHERE follower_id = ${userId} ORDER BY followed_at LIMIT ${BATCH})
        UNION (SELECT id FROM follows WHERE followed_id = ${userId} ORDER BY followed_at LIMIT ${BATCH}))
      ORDER BY id FOR UPDATE
    ), gone AS (
      DELETE FROM follows f USING chosen WHERE f.id = chosen.id RETURNING follower_id, followed_id
    ), counted AS (${countFollows(sql`gone`, -1)})
    SELECT CASE follower_id WHEN ${userId} THEN followed_id ELSE follower_id END AS "otherId" FROM gone`)
  if (rows.length === 0) {
    await tx.run(sql`
      DELETE FROM departed_users WHERE user_id = ${userId}
        AND NOT EXISTS (SELECT FROM follows WHERE ${userId} IN (follower_id, followed_id))`)
    return true
  }
  await recordChange(tx, {
    topic: followsEnded,
    subjectId: userId,
    actor: null,
    audience: rows.map(({ otherId }) => `user:${otherId}` as const),
    data: { user_id: userId },
  })
  return false
}

async function listDeparted(db: Queryable): Promise<string[]> {
  const rows = await db.rows<{ userId: string }>(sql`SELECT user_id AS "userId" FROM departed_users ORDER BY user_id`)
  return rows.map((row) => row.userId)
}
