import type { Clock } from '../platform/clock.ts'
import { errorCode } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import type { Logger } from '../platform/log.ts'
import type { Connection } from './connection.ts'
import { sleep, within } from './wait.ts'
import { lockOrdering, releaseNext, storeResults, type Result } from './result-queries.ts'

const BATCH = 500
const RETRY_MS = 250

export interface ResultStore {
  add: (result: Result) => void
  /** Resolves when everything added so far is stored; what cannot be stored in this time is dropped, and sent again by others. */
  close(maxMs: number): Promise<void>
}

interface ResultStoreOptions {
  connection: Connection
  clock: Clock
  log: Logger
  /** After results were stored; `isAccepted` is false for a lease that others have taken over. */
  onStored(result: Result, isAccepted: boolean): void
  /** After `onStored` was called for a whole batch. */
  onFlushed(): void
}

/**
 * Stores results in batches, one statement at a time: while one is on its way the next ones gather. Results outlive a database that is away;
 * they are stored when it is back, so that what was sent is not sent again.
 */
export function createResultStore(options: ResultStoreOptions): ResultStore {
  const { connection, clock, log } = options
  let waiting: Result[] = []
  let flushing: Promise<void> | undefined
  let isClosed = false

  function add(result: Result): void {
    waiting.push(result)
    flushing ??= flush().finally(() => {
      flushing = undefined
    })
  }

  async function flush(): Promise<void> {
    // Results of the same turn go together.
    await Promise.resolve()
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH)
      const accepted = await storeSurely(batch)
      waiting = waiting.slice(batch.length)
      faultPoint('after-mark')
      for (const result of batch) options.onStored(result, accepted.has(result.delivery.id))
      options.onFlushed()
    }
  }

  async function storeSurely(batch: readonly Result[]): Promise<Set<string>> {
    let withAttempts = true
    for (let failures = 0; ; failures++) {
      if (isClosed) return new Set()
      try {
        return await store(batch, withAttempts)
      } catch (error) {
        if (failures === 0)
          log.error({ err: error, deliveries: batch.length }, 'delivery results could not be stored, trying again')
        // An attempt log that cannot be written must not hold up deliveries.
        if (isStatementError(error)) withAttempts = false
        if (failures > 0) await sleep(RETRY_MS)
      }
    }
  }

  async function store(batch: readonly Result[], withAttempts: boolean): Promise<Set<string>> {
    const now = clock.now()
    const ordered = batch.map(({ delivery }) => delivery).filter((delivery) => delivery.orderKey !== null)
    if (ordered.length === 0) return storeResults(connection.rows, batch, { now, withAttempts })
    return connection.transaction(async (rows) => {
      await lockOrdering(rows, ordered)
      const accepted = await storeResults(rows, batch, { now, withAttempts })
      await releaseNext(rows, ordered)
      return accepted
    })
  }

  return {
    add,
    close: async (maxMs) => {
      await within(maxMs, flushing)
      isClosed = true
    },
  }
}

/** The server answered the statement itself with an error, other than that it is going away (57), out of room (53) or busy (40, 55). */
function isStatementError(error: unknown): boolean {
  const code = errorCode(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^(08|40|53|55|57)/.test(code)
}
