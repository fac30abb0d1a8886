import type { ChangeLog, LoggedChange } from '../changes/index.ts'
import type { Queryable } from '../platform/db/db.ts'
import type { Audience } from './audience.ts'

export interface LastQuery {
  oldest: number
  upTo: number
  audience: Audience
  topics?: readonly string[]
  limit: number
}

/** More than any `limit`, so that a window need not be hit exactly. */
const READ = 1_000
const GROWTH = 8

/**
 * The last changes of a reader. The log is read forwards, so this looks for a window at its end that holds enough and not too many: it grows
 * until there are enough, then halves between too few and too many. For a reader of most of the log that is one read.
 */
export async function readLastChanges(
  db: Queryable,
  changeLog: Pick<ChangeLog, 'read'>,
  { oldest, upTo, audience, topics, limit }: LastQuery,
): Promise<LoggedChange[]> {
  const floor = oldest - 1
  // In (tooFew, upTo] are too few; in (tooMany, upTo] more than one read brings.
  let tooFew = upTo
  let tooMany: number | undefined
  let after = Math.max(floor, upTo - READ + 1)
  for (;;) {
    const query = { after, upTo, audience, limit: READ, ...(topics === undefined ? {} : { topics }) }
    const changes = await changeLog.read(db, query)
    const isAll = changes.length < READ
    if (isAll && (changes.length >= limit || after <= floor)) return changes.slice(-limit)
    if (isAll) tooFew = after
    else tooMany = after
    // Two positions side by side differ by one change at most, and READ exceeds limit, so the halves always meet a window that fits.
    after =
      tooMany === undefined ? Math.max(floor, upTo - (upTo - tooFew) * GROWTH) : Math.floor((tooFew + tooMany) / 2)
  }
}
