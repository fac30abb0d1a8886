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
  /** With `each` the array has one member. Throwing means: try again, and after 5 tries park the change and later ones of its key. */
  handle(tx: Tx, changes: readonly Change[]): Promise<void>
}
