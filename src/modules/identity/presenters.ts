import type { Caller } from '../../platform/http/caller.ts'
import { canSeeAll } from './policy.ts'
import type { User } from './users-queries.ts'

/** The user's own profile; for anybody else the public part and nothing more (identity contract, section 6). */
export function presentProfile(caller: Caller, user: User) {
  const open = { id: user.id, username: user.username, date_joined: user.dateJoined }
  if (caller.userId !== user.id) return open
  return { ...open, first_name: user.firstName, last_name: user.lastName, email: user.email }
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
