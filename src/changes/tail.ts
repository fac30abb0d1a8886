import type { Db } from '../platform/db/db.ts'
import { selectChanges } from './log-queries.ts'
import type { LoggedChange } from './topic.ts'

/** What follows a position, for one reader. */
export interface Page {
  changes: LoggedChange[]
  /** Everything up to here has been looked at; not above the position asked for when there was nothing. */
  upTo: number
}

/** The newest part of the log in memory, read once for all readers of the process who keep up with it. */
export interface Tail {
  /** At most a page of what follows `after`; does not begin at `after` + 1 where retention has dropped that. */
  following(after: number): Promise<readonly LoggedChange[]>
  /** What follows `after` and has one of the topics, not past `head`. */
  page(after: number, head: number, topics: readonly string[], matches: (topic: string) => boolean): Promise<Page>
  /** Forgets everything: the log is another one. */
  reset(): void
}

/** Most changes that `following` gives at once. */
export const PAGE = 500
/** Readers farther behind than this have queries of their own, limited to their topics. */
const KEPT = 2_000
/** Characters of data kept at most: changes of bulk work are 12 KB each, and as objects take several times that. */
const KEPT_CHARACTERS = 500_000
/** Positions such a query looks at; a subscriber of rare topics makes visible progress. */
const WINDOW = 10_000

const NOTHING: Page = { changes: [], upTo: 0 }

/** What one query found after a position. */
interface Look {
  after: number
  changes: readonly LoggedChange[]
}

export function createTail(db: Db): Tail {
  let kept: LoggedChange[] = []
  let looking: Promise<Look> | undefined
  let resets = 0

  /** Brings in what follows the last kept change, or starts over at `after`. */
  async function look(after: number): Promise<Look> {
    // A reader ahead of what is kept came by its own queries; the memory follows it.
    if (after > (lastPosition() ?? after)) kept = []
    const last = lastPosition() ?? after
    const resetsBefore = resets
    const changes = await select(last)
    const isStillLast = resets === resetsBefore && (lastPosition() ?? after) === last
    if (isStillLast && changes[0]?.position === last + 1) kept = newest([...kept, ...changes])
    return { after: last, changes }
  }

  function startLook(after: number): Promise<Look> {
    const started = look(after).finally(() => {
      if (looking === started) looking = undefined
    })
    looking = started
    return started
  }

  function select(after: number): Promise<LoggedChange[]> {
    return selectChanges(db, { after, audience: 'all', limit: PAGE })
  }

  function lastPosition(): number | undefined {
    return kept.at(-1)?.position
  }

  /** Empty when the memory does not have what follows `after`. */
  function fromMemory(after: number): readonly LoggedChange[] {
    const first = kept[0]
    if (first === undefined || first.position > after + 1) return []
    const start = after + 1 - first.position
    return kept.slice(start, start + PAGE)
  }

  async function following(after: number): Promise<readonly LoggedChange[]> {
    // A look that is under way may have begun before the change that this reader has heard of; what it finds may do all the same.
    if (isAtEnd(after)) await looking
    if (isAtEnd(after)) {
      const found = await (looking ?? startLook(after))
      if (found.after === after) return found.changes
    }
    const known = fromMemory(after)
    return known.length > 0 ? known : select(after)
  }

  function isAtEnd(after: number): boolean {
    return after >= (lastPosition() ?? after)
  }

  async function pageFromDatabase(after: number, head: number, topics: readonly string[]): Promise<Page> {
    const upTo = Math.min(head, after + WINDOW)
    const changes = await selectChanges(db, { after, upTo, topics, audience: 'all', limit: PAGE })
    return { changes, upTo: changes.length < PAGE ? upTo : changes.at(-1)!.position }
  }

  return {
    following,
    page: async (after, head, topics, matches) => {
      if (after >= head) return NOTHING
      const reachesBack = kept.length === 0 ? head - after <= KEPT : after + 1 >= kept[0]!.position
      const next = reachesBack ? await following(after) : []
      if (next.length === 0) return pageFromDatabase(after, head, topics)
      return { changes: next.filter((change) => matches(change.topic)), upTo: next.at(-1)!.position }
    },
    reset: () => {
      resets += 1
      kept = []
      looking = undefined
    },
  }
}

/** The last ones that the bounds allow; a reader who finds less than it needs asks the database itself. */
function newest(changes: LoggedChange[]): LoggedChange[] {
  let first = changes.length
  let characters = 0
  while (first > 0 && changes.length - first < KEPT) {
    characters += changes[first - 1]!.json.length
    if (characters > KEPT_CHARACTERS) break
    first -= 1
  }
  return changes.slice(first)
}
