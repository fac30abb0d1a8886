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
/** Positions such a query looks at; a subscriber of rare topics makes visible progress. */
const WINDOW = 10_000

const NOTHING: Page = { changes: [], upTo: 0 }

export function createTail(db: Db): Tail {
  let kept: Change[] = []
  let loading: Promise<void> | undefined

  /** Brings in what follows the last kept change, or starts over at `after`. */
  async function load(after: number): Promise<void> {
    // A reader ahead of what is kept came by its own queries; the memory follows it.
    if (after > (kept.at(-1)?.position ?? after)) kept = []
    const last = kept.at(-1)?.position ?? after
    const next = await selectChanges(db, { after: last, audience: 'all', limit: PAGE })
    const isStillLast = (kept.at(-1)?.position ?? after) === last
    if (isStillLast && next[0]?.position === last + 1) kept = [...kept, ...next].slice(-KEPT)
  }

  async function pageFromMemory(after: number, matches: (topic: string) => boolean): Promise<Page> {
    if (after >= (kept.at(-1)?.position ?? after)) {
      loading ??= load(after).finally(() => {
        loading = undefined
      })
      await loading
    }
    const first = kept[0]
    if (first === undefined || first.position > after + 1) return NOTHING
    const start = after + 1 - first.position
    const next = kept.slice(start, start + PAGE)
    return { changes: next.filter((change) => matches(change.topic)), upTo: next.at(-1)?.position ?? after }
  }

  async function pageFromDatabase(after: number, head: number, topics: readonly string[]): Promise<Page> {
    const upTo = Math.min(head, after + WINDOW)
    const changes = await selectChanges(db, { after, upTo, topics, audience: 'all', limit: PAGE })
    return { changes, upTo: changes.length < PAGE ? upTo : changes.at(-1)!.position }
  }

  return {
    page: async (after, head, topics, matches) => {
      const reachesBack = kept.length === 0 ? head - after <= KEPT : after + 1 >= kept[0]!.position
      const page = reachesBack ? await pageFromMemory(after, matches) : NOTHING
      // Another reader may have begun the memory further on.
      return page.upTo > after || head <= after ? page : pageFromDatabase(after, head, topics)
    },
    reset: () => {
      kept = []
    },
  }
}
