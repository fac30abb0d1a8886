import type { Caller } from '../platform/http/caller.ts'
import { audienceOf } from './audience.ts'
import type { Follower, Hub } from './hub.ts'
import type { Listener } from './listeners.ts'
import type { Session } from './rights.ts'

export interface WaitRequest {
  caller: Caller
  patterns: readonly string[]
  /** What has been read already; the wait is over at once when this process knows of more. */
  after: number
  waitMs: number
  /** When the credential was looked at at the earliest, by `performance.now()`. */
  checkedSince: number
  signal: AbortSignal
}

/**
 * Resolves when a change that may be for the caller has been read from the log, when the time is over, or when there is another reason to
 * look again: rights ended, the request was aborted, the log was replaced, the server is shutting down. Whoever waited looks which.
 */
export async function waitForChange(hub: Hub, request: WaitRequest): Promise<void> {
  const { caller, patterns, signal } = request
  if (hub.tail.position > request.after || signal.aborted || hub.isStopping) return
  const audience = audienceOf(caller)
  let session: Session | undefined
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', settle)
      hub.listeners.remove(listener, audience, patterns)
      hub.followers.delete(follower)
      if (session !== undefined) hub.rights.remove(session)
      resolve()
    }
    // Not the change itself but the fact is of interest: what is read then is checked for what the caller may still see.
    const listener: Listener = { lastHeard: request.after, hear: settle }
    const follower: Follower = { loseTrack: settle, end: settle }
    const timer = setTimeout(settle, request.waitMs)
    signal.addEventListener('abort', settle)
    hub.listeners.add(listener, audience, patterns)
    hub.followers.add(follower)
    session = { caller, endRights: settle, changeStaff: settle }
    if (!hub.rights.add(session, request.checkedSince)) settle()
  })
}
