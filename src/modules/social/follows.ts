import { recordChange } from '../../changes/index.ts'
import { distinctTimestamp } from '../../platform/clock.ts'
import type { Tx } from '../../platform/db/db.ts'
import { InvalidError, NotFoundError, UnauthenticatedError } from '../../platform/errors.ts'
import { newId } from '../../platform/ids.ts'
import { usersByIds, type User } from '../identity/index.ts'
import { holdUsers } from './departures.ts'
import { deleteFollow, insertFollow, isFollowing, type FollowRow } from './follow-queries.ts'
import { followCreated, followRemoved } from './topics.ts'

/** The feed looks at each of them; with this many it still takes well under a tenth of a second. */
const MAX_FOLLOWED = 10_000

export interface Following {
  followed: User
  /** False when it has been so before. */
  isNew: boolean
}

/** Makes a user follow another; of two requests at once one finds it done. */
export async function followUser(tx: Tx, followerId: string, followedId: string, now: Date): Promise<Following> {
  if (followerId === followedId) throw new InvalidError('You cannot follow yourself.')
  await holdUsers(tx, [followerId, followedId])
  const users = await usersByIds(tx, [followerId, followedId])
  const followed = users.get(followedId)
  if (!users.has(followerId)) throw new UnauthenticatedError('The user of this credential has been deleted.')
  if (followed === undefined) throw new NotFoundError()

  const terms = { followedAt: distinctTimestamp(now), most: MAX_FOLLOWED }
  const follow = await insertFollow(tx, { id: newId(), followerId, followedId }, terms)
  if (follow !== undefined) await recordFollow(tx, followCreated, follow)
  else if (!(await isFollowing(tx, followerId, followedId)))
    throw new InvalidError(`You cannot follow more than ${MAX_FOLLOWED} users.`, { code: 'too_many_followed' })
  return { followed, isNew: follow !== undefined }
}

/** Ends the following, if there is one. */
export async function unfollowUser(tx: Tx, followerId: string, followedId: string): Promise<void> {
  const users = await usersByIds(tx, [followedId])
  if (!users.has(followedId)) throw new NotFoundError()

  const follow = await deleteFollow(tx, followerId, followedId)
  if (follow !== undefined) await recordFollow(tx, followRemoved, follow)
}

async function recordFollow(
  tx: Tx,
  topic: typeof followCreated,
  { id, followerId, followedId }: FollowRow,
): Promise<void> {
  await recordChange(tx, {
    topic,
    subjectId: id,
    // Followed anew it is another row, but the same pair: its changes stay in order.
    key: `follow:${followerId}:${followedId}`,
    actor: followerId,
    audience: [`user:${followerId}`, `user:${followedId}`],
    data: { follower_id: followerId, followed_id: followedId },
  })
}
