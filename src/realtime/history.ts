import type { ChangeLog } from '../changes/index.ts'
import type { Db } from '../platform/db/db.ts'
import type { Slots } from '../platform/slots.ts'
import { isAddressedTo, type Audience } from './audience.ts'
import { createEntry, type Entry } from './entry.ts'
import type { RecentChanges } from './recent-changes.ts'
import { coversTopic } from './topic-patterns.ts'

export interface PageQuery {
  after: number
  upTo: number
  audience: Audience
  patterns: readonly string[]
  /** Most changes wanted at once. */
  limit: number
}

export interface Page {
  entries: Entry[]
  /** Everything up to here has been looked at. */
  through: number
}

/** `gap`: the log no longer reaches back to `after`, or it is another log by now. */
export type PageResult = Page | 'gap'

export interface History {
  page(query: PageQuery): Promise<PageResult>
}

export interface HistoryOptions {
  db: Db
  changeLog: Pick<ChangeLog, 'read' | 'head'>
  recent: RecentChanges
  /** The epoch that readers are told; a page that turns out to be of another one is a gap. */
  epoch: () => string
  slots: Slots
}

/** Changes looked through in memory before other work gets a turn. */
const SCAN_AT_ONCE = 2_000
/** Changes fetched at once to reach further back in memory. */
const CHUNK = 500

/**
 * Reads back in the log. Nearly everyone who comes back was away for seconds, so the newest changes are kept in memory and their part is
 * read from the database once for all of them, with all audiences; only who was away for longer has queries of their own.
 */
export function createHistory(options: HistoryOptions): History {
  const { db, changeLog, recent, slots } = options
  let extending: Promise<boolean> | undefined

  async function page(query: PageQuery): Promise<PageResult> {
    while (query.after < recent.start && isWithinReach(query.after)) {
      extending ??= extend(query.after).finally(() => {
        extending = undefined
      })
      if (!(await extending)) break
    }
    return query.after >= recent.start && query.after < recent.end ? pageFromMemory(query) : pageFromDatabase(query)
  }

  function isWithinReach(after: number): boolean {
    return recent.hasRoomFor(recent.start - after, 0)
  }

  /** Reaches one chunk further back; false when that did not work and the database must be asked. */
  async function extend(after: number): Promise<boolean> {
    const upTo = recent.start
    const from = Math.max(after, upTo - CHUNK)
    const epoch = options.epoch()
    const changes = await slots(() => changeLog.read(db, { after: from, upTo, audience: 'all', limit: CHUNK }))
    if (options.epoch() !== epoch) return false
    // Newer changes may have pushed out some meanwhile: then these would not join on. Another try will.
    if (recent.start !== upTo) return true
    if (changes.length !== upTo - from) return false
    return recent.prepend(changes.map((change) => createEntry(change, epoch)))
  }

  function pageFromMemory({ after, upTo, audience, patterns, limit }: PageQuery): Page {
    const entries: Entry[] = []
    const scanned = recent.between(after, Math.min(upTo, recent.end, after + SCAN_AT_ONCE))
    for (const entry of scanned) {
      if (!isAddressedTo(audience, entry.change.audience) || !coversTopic(patterns, entry.change.topic)) continue
      entries.push(entry)
      if (entries.length === limit) return { entries, through: entry.position }
    }
    return { entries, through: after + scanned.length }
  }

  async function pageFromDatabase({ after, upTo, audience, patterns, limit }: PageQuery): Promise<PageResult> {
    const epoch = options.epoch()
    return slots(async () => {
      const topics = patterns.includes('*') ? {} : { topics: patterns }
      const changes = await changeLog.read(db, { after, upTo, audience, limit, ...topics })
      // Asked after the page, not before: what retention drops in between would be missing from it without a sign.
      const head = await changeLog.head()
      if (head.epoch !== epoch || options.epoch() !== epoch || head.oldest > after + 1) return 'gap'
      const last = changes.length < limit ? undefined : changes.at(-1)
      return { entries: changes.map((change) => createEntry(change, epoch)), through: last?.position ?? upTo }
    })
  }

  return { page }
}
