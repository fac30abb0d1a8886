import type { ChangeLog } from '../changes/index.ts'
import type { Db } from '../platform/db/db.ts'
import { GoneError, TooManyRequestsError, UnauthenticatedError, UnavailableError } from '../platform/errors.ts'
import type { Caller } from '../platform/http/caller.ts'
import { audienceOf } from './audience.ts'
import { createEntry, presentChange, type Entry, type PresentedChange } from './entry.ts'
import type { Hub } from './hub.ts'
import { readLastChanges } from './last-changes.ts'
import type { Bookmark, LogQuery } from './read-query.ts'
import { waitForChange } from './wait-for-change.ts'

export interface ReadRequest extends LogQuery {
  caller: Caller
  limit: number
  waitMs: number
  /** When the credential was looked at at the earliest, by `performance.now()`. */
  checkedSince: number
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal
}

export interface ChangesPage {
  epoch: string
  /** How far the caller has now read. */
  position: number
  oldest: number
  changes: PresentedChange[]
}

/** So many changes are looked at together, however few are wanted. */
const LOOK_BACK = 100

type Head = Awaited<ReturnType<ChangeLog['head']>>

export type ReadChanges = (request: ReadRequest) => Promise<ChangesPage>

/** `GET /api/changes/`: what follows a position, at once or as soon as there is something. */
export function createReadChanges(hub: Hub, db: Db, changeLog: Pick<ChangeLog, 'head' | 'read'>): ReadChanges {
  async function start(request: ReadRequest, head: Head): Promise<{ entries: Entry[]; cursor: number }> {
    if (request.from !== undefined) {
      requireReachable(request.from, head)
      return { entries: [], cursor: request.from.since }
    }
    return { entries: await lastVisible(request, head), cursor: head.position }
  }

  /** Backwards from the head, until there are enough that the caller may see still. */
  async function lastVisible({ caller, patterns, limit, signal }: ReadRequest, head: Head): Promise<Entry[]> {
    const topics = patterns.includes('*') ? {} : { topics: patterns }
    const query = { oldest: head.oldest, audience: audienceOf(caller), limit: Math.max(limit, LOOK_BACK), ...topics }
    let upTo = head.position
    let found: Entry[] = []
    while (found.length < limit && !signal.aborted) {
      const changes = await readLastChanges(db, changeLog, { ...query, upTo })
      const entries = changes.map((change) => createEntry(change, head.epoch))
      found = [...(await hub.visible(caller, entries)), ...found]
      if (changes.length < query.limit) break
      upTo = changes[0]!.position - 1
    }
    return found.slice(-limit)
  }

  /** The next changes the caller may see, up to the head; none means that everything up to the head has been looked at. */
  async function readOn(
    request: ReadRequest,
    after: number,
    head: Head,
  ): Promise<{ entries: Entry[]; cursor: number }> {
    const { caller, patterns, limit } = request
    let cursor = after
    while (cursor < head.position && !request.signal.aborted) {
      const query = { after: cursor, upTo: head.position, audience: audienceOf(caller), patterns, limit }
      const page = await hub.history.page(query)
      if (page === 'gap') throw gone(await changeLog.head())
      cursor = page.through
      const entries = await hub.visible(caller, page.entries)
      if (entries.length > 0) return { entries, cursor }
    }
    return { entries: [], cursor }
  }

  /** Thousands may be woken by one change: what the tail knows need not be asked for. */
  async function headAfterWait(before: Head): Promise<Head> {
    const { epoch, position, oldest } = hub.tail
    return epoch === before.epoch && position > before.position ? { epoch, position, oldest } : changeLog.head()
  }

  return async (request) => {
    const deadline = performance.now() + request.waitMs
    let head = await changeLog.head()
    let { entries, cursor } = await start(request, head)
    for (;;) {
      if (entries.length === 0) ({ entries, cursor } = await readOn(request, cursor, head))
      requireRights(hub, request)
      const left = deadline - performance.now()
      if (entries.length > 0 || left <= 0 || request.signal.aborted || hub.isStopping) break
      await waitForChange(hub, { ...request, after: head.position, waitMs: left })
      const next = await headAfterWait(head)
      if (next.epoch !== head.epoch) throw gone(next)
      head = next
    }
    const changes = entries.map((entry) => presentChange(entry.change, head.epoch))
    return { epoch: head.epoch, position: cursor, oldest: head.oldest, changes }
  }
}

/** Takes a place among those who may wait; call the answer when done. */
export function takeWaitingPlace(hub: Hub, userId: string): () => void {
  if (hub.streamQuota.total >= hub.limits.waiters) throw new UnavailableError('Too many readers are waiting.', 1)
  if (!hub.streamQuota.take(userId)) {
    throw new TooManyRequestsError(`At most ${hub.limits.streamsPerUser} streams and waiting reads at a time.`, 1)
  }
  return () => hub.streamQuota.give(userId)
}

function requireReachable({ since, epoch }: Bookmark, head: Head): void {
  if (epoch !== head.epoch || since > head.position || since + 1 < head.oldest) throw gone(head)
}

function gone({ oldest, position, epoch }: Head): GoneError {
  const detail =
    'The log does not reach back to this position. Fetch the state afresh and read on from the position given here.'
  return new GoneError(detail, { extensions: { oldest, position, epoch } })
}

function requireRights(hub: Hub, { caller, checkedSince }: ReadRequest): void {
  if (hub.rights.hasEnded(caller, checkedSince)) throw new UnauthenticatedError('The credential has ended.')
}
