import type { Db } from '../platform/db/db.ts'
import { selectChanges } from './log-queries.ts'
import type { Change } from './topic.ts'

/** What follows a position, for one reader. */
export interface Page {
  changes: Change[]
  /** Everything up to here has been looked at; not above the position asked for when there was nothing. */
  upTo: number
}

/** The newest part of the log in memory, read once for all subscribers of the process. */
export interface Tail {
  /** What follows `after` and has one of the topics, not past `head`. */
  page(after: number, head: number, topics: readonly string[], matches: (topic: string) => boolean): Promise<Page>
  /** Forgets everything: the log is another one. */
  reset(): void
}

const PAGE = 500
/** Readers farther behind than this have queries of their own, limited to their topics. */
const KEPT = 2_000
/** Characters of data kept at most: changes of bulk work are 12 KB each, and as objects take several times that. */
const KEPT_CHARACTERS = 500_000
/** Positions such a query looks at; a subscriber of rare topics makes visible progress. */
const WINDOW = 10_000

const NOTHING: Page = { changes: [], upTo: 0 }

interface KeptChange {
  change: Change
  characters: number
}

export function createTail(db: Db): Tail {
  let kept: KeptChange[] = []
  let loading: Promise<void> | undefined

  /** Brings in what follows the last kept change, or starts over at `after`. */
  async function load(after: number): Promise<void> {
    // A reader ahead of what is kept came by its own queries; the memory follows it.
    if (after > (lastPosition() ?? after)) kept = []
    const last = lastPosition() ?? after
    const next = await selectChanges(db, { after: last, audience: 'all', limit: PAGE })
    const isStillLast = (lastPosition() ?? after) === last
    if (isStillLast && next[0]?.position === last + 1) kept = newest([...kept, ...next.map(measure)])
  }

  function lastPosition(): number | undefined {
    return kept.at(-1)?.change.position
  }

  async function pageFromMemory(after: number, matches: (topic: string) => boolean): Promise<Page> {
    if (after >= (lastPosition() ?? after)) {
      loading ??= load(after).finally(() => {
        loading = undefined
      })
      await loading
    }
    const first = kept[0]?.change
    if (first === undefined || first.position > after + 1) return NOTHING
    const start = after + 1 - first.position
    const next = kept.slice(start, start + PAGE).map(({ change }) => change)
    return { changes: next.filter((change) => matches(change.topic)), upTo: next.at(-1)?.position ?? after }
  }

  async function pageFromDatabase(after: number, head: number, topics: readonly string[]): Promise<Page> {
    const upTo = Math.min(head, after + WINDOW)
    const changes = await selectChanges(db, { after, upTo, topics, audience: 'all', limit: PAGE })
    return { changes, upTo: changes.length < PAGE ? upTo : changes.at(-1)!.position }
  }

  return {
    page: async (after, head, topics, matches) => {
      const reachesBack = kept.length === 0 ? head - after <= KEPT : after + 1 >= kept[0]!.change.position
      const page = reachesBack ? await pageFromMemory(after, matches) : NOTHING
      // Another reader may have begun the memory further on.
      return page.upTo > after || head <= after ? page : pageFromDatabase(after, head, topics)
    },
    reset: () => {
      kept = []
    },
  }
}

function measure(change: Change): KeptChange {
  return { change, characters: JSON.stringify(change.data).length }
}

/** The last ones that the bounds allow; a reader who finds less than it needs asks the database itself. */
function newest(changes: KeptChange[]): KeptChange[] {
  let first = changes.length
  let characters = 0
  while (first > 0 && changes.length - first < KEPT) {
    characters += changes[first - 1]!.characters
    if (characters > KEPT_CHARACTERS) break
    first -= 1
  }
  return changes.slice(first)
}
