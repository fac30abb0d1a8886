import type { Tx } from '../platform/db/db.ts'
import type { Change } from './topic.ts'

/**
 * A reader of the log with a durable cursor. It hears every change of its topics at least once, in order of position; what it does to the
 * database and the move of its cursor commit together. It must not reach outside the database.
 */
export interface Subscriber {
  /** Stable: the cursor is kept under this name. */
  name: string
  /** Topic names; a trailing `*` matches the rest. */
  topics: string[]
  /** `each`: one transaction per change, for those that lock business rows. `batch`: many per transaction, for the rest. */
  mode: 'each' | 'batch'
  /**
   * Where a subscriber that a later version adds begins: with what is recorded from then on (default), or with everything the log still
   * holds, for those whose work does no harm late. On a new database all begin at the start.
   */
  startsAt?: 'head' | 'oldest'
  /**
   * With `each` the array has one member. Throwing means: the change is set aside and tried again, five times in all, then it stays parked;
   * later changes of its key wait behind it, those of other keys go on.
   */
  handle(tx: Tx, changes: readonly Change[]): Promise<void>
}
