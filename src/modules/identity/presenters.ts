import type { Caller } from '../../platform/http/caller.ts'
import { canSeeAll } from './policy.ts'
import type { ProfileCounts } from './profile-counts.ts'
import type { User } from './users-queries.ts'

/** The user's own profile (identity contract, section 6). */
export function presentOwnProfile(user: User) {
  return {
    id: user.id,
    username: user.username,
    first_name: user.firstName,
    last_name: user.lastName,
    email: user.email,
    date_joined: user.dateJoined,
  }
}

/** What anybody else is shown of a user; never e-mail or names. */
export function presentPublicProfile(user: User, counts: ProfileCounts | undefined) {
  return {
    id: user.id,
    username: user.username,
    date_joined: user.dateJoined,
    ...(counts === undefined
      ? {}
      : {
          followers_count: counts.followersCount,
          following_count: counts.followingCount,
          is_followed: counts.isFollowed,
        }),
  }
}

export function presentCreatedUser(user: User) {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    first_name: user.firstName,
    last_name: user.lastName,
    date_joined: user.dateJoined,
  }
}

/** The shape of `/api/user/{user_id}/`, for the user and staff. */
export function presentUser(user: User) {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    created_at: user.dateJoined,
    updated_at: user.updated,
  }
}

/** The same shape with nothing in it that only the user and staff may see. */
export function presentUserTo(caller: Caller, user: User) {
  const all = presentUser(user)
  return canSeeAll(caller, user.id) ? all : { ...all, email: null, updated_at: null }
}
