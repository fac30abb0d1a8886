import { ForbiddenError } from '../../platform/errors.ts'
import type { Caller } from '../../platform/http/caller.ts'

/** Only the user may change the password of the user, whatever the caller's role. */
export function requireSelf(caller: Caller, userId: string): void {
  if (caller.userId !== userId) throw new ForbiddenError()
}

export function requireSelfOrStaff(caller: Caller, userId: string): void {
  if (!canSeeAll(caller, userId)) throw new ForbiddenError()
}

/** Whether the caller sees a user's e-mail address and dates. */
export function canSeeAll(caller: Caller, userId: string): boolean {
  return caller.userId === userId || caller.isStaff
}
