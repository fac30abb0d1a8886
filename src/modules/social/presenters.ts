import type { Timestamp } from '../../platform/clock.ts'
import type { User } from '../identity/index.ts'

export function presentFollowing({ id, username }: User) {
  return { following: true as const, user: { id, username } }
}

export function presentFollower({ id, username, dateJoined }: User, followedAt: Timestamp) {
  return { id, username, date_joined: dateJoined, followed_at: followedAt }
}
