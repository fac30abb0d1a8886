import type { Change } from '../changes/index.ts'
import type { Caller } from '../platform/http/caller.ts'

/** What a change of the log does to rights that are kept in memory here. */
export type RightsChange =
  /** These sign-ins ended; `all` includes HTTP Basic, which has none. `except` lives on. */
  | { userId: string; signInIds: readonly string[] | 'all'; except?: string }
  /** The user became staff, or is no longer. */
  | { userId: string; isStaff: boolean }

/** Identity's reading of the log: undefined for changes that touch no rights. */
export type RightsEnded = (change: Change) => RightsChange | undefined

/** Something held open on the strength of a credential. */
export interface Session {
  readonly caller: Caller
  /** The credential is no longer good: nothing more may be sent. */
  endRights(): void
  changeStaff(isStaff: boolean): void
}

interface RecentChange {
  at: number
  change: RightsChange
}

/** Longer than authentication can take: a slow password hash behind a full queue included. */
const REMEMBER_MS = 60_000
const REMEMBER_AT_MOST = 10_000

/**
 * The open sessions by user, and the rights changes of the last minute. A credential is checked some time before its session is
 * registered; a change read from the log in between found nothing to end, so registering looks back to the moment the check began.
 */
export class Rights {
  readonly #sessions = new Map<string, Set<Session>>()
  #recent: RecentChange[] = []
  #forgottenUntil = Number.NEGATIVE_INFINITY
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Registers the session, or answers false when its rights ended after `checkedSince`. */
  add(session: Session, checkedSince: number): boolean {
    if (this.hasEnded(session.caller, checkedSince)) return false
    const sessions = this.#sessions.get(session.caller.userId)
    if (sessions === undefined) this.#sessions.set(session.caller.userId, new Set([session]))
    else sessions.add(session)
    return true
  }

  remove(session: Session): void {
    const { userId } = session.caller
    const sessions = this.#sessions.get(userId)
    sessions?.delete(session)
    if (sessions?.size === 0) this.#sessions.delete(userId)
  }

  /** Whether a change read at or after `since` ended or altered what this caller was authenticated as. */
  hasEnded(caller: Caller, since: number): boolean {
    if (since < this.#forgottenUntil) return true
    return this.#recent.some(
      ({ at, change }) => at >= since && change.userId === caller.userId && alters(change, caller),
    )
  }

  apply(change: RightsChange): void {
    this.#remember(change)
    for (const session of this.#sessions.get(change.userId) ?? []) {
      if (!alters(change, session.caller)) continue
      if ('isStaff' in change) session.changeStaff(change.isStaff)
      else session.endRights()
    }
  }

  #remember(change: RightsChange): void {
    const at = this.#now()
    this.#recent.push({ at, change })
    const tooMany = this.#recent.length - REMEMBER_AT_MOST
    const firstKept = this.#recent.findIndex((recent) => recent.at >= at - REMEMBER_MS)
    const dropped = this.#recent.splice(0, Math.max(tooMany, firstKept))
    const lastDropped = dropped.at(-1)
    if (lastDropped !== undefined) this.#forgottenUntil = lastDropped.at
  }
}

function alters(change: RightsChange, caller: Caller): boolean {
  if ('isStaff' in change) return change.isStaff !== caller.isStaff
  if (change.signInIds !== 'all') return caller.signInId !== null && change.signInIds.includes(caller.signInId)
  return change.except === undefined || change.except !== caller.signInId
}
