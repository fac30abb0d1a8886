import type { Queryable } from '../../platform/db/db.ts'
import type { Caller } from '../../platform/http/caller.ts'

/** What the public profile says beside the user (identity contract, section 6). */
export interface ProfileCounts {
  followersCount: number
  followingCount: number
  /** Whether the caller follows the user. */
  isFollowed: boolean
}

export type CountProfile = (db: Queryable, caller: Caller, userId: string) => Promise<ProfileCounts>

let countRegistered: CountProfile | undefined

/** Registers who knows the counts of a public profile; the last one registered is asked. */
export function extendProfiles(count: CountProfile): void {
  countRegistered = count
}

/** Undefined where nobody is registered. */
export async function countProfile(db: Queryable, caller: Caller, userId: string): Promise<ProfileCounts | undefined> {
  return countRegistered?.(db, caller, userId)
}
