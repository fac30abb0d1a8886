import { setTimeout as sleep } from 'node:timers/promises'

import type { Db, Tx } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import type { Logger } from '../platform/log.ts'
import type { Slots } from '../platform/slots.ts'
import type { KnownHead } from './known-head.ts'
import { selectChanges } from './log-queries.ts'
import { isOutage } from './outage.ts'
import { beginRetry, deleteParked, insertFailed, insertHeld, saveRetryError } from './parked-queries.ts'
import { awaitSubscriber, claimSubscriber, insertProgress, lockSubscriber } from './subscriber-queries.ts'
import { saveTrial, selectCursors, selectStanding } from './subscriber-queries.ts'
import type { Subscriber } from './subscriber.ts'
import type { Tail } from './tail.ts'
import { topicMatcher } from './topic-pattern.ts'
import type { Change } from './topic.ts'

/** Runs one subscriber in this process, in turn with other processes. */
export interface Runner {
  readonly name: string
  /** The cursor as last known. */
  readonly cursor: number
  /** Up to here nothing is left to do; ahead of the cursor by changes of other topics. */
  readonly scanned: number
  readonly isIdle: boolean
  /** The log has grown. */
  wake(): void
  /** A parked change is due. */
  retry(): void
  /** The cursor was saved where `scanned` is. */
  saved(position: number): void
  /** The log has become another one: the cursor is read again. */
  reset(): void
  stop(): Promise<void>
}

export interface RunnerOptions {
  db: Db
  log: Logger
  subscriber: Subscriber
  tail: Tail
  head: KnownHead
  /** Bounds the transactions that all subscribers of this process have open. */
  slots: Slots
}

/** Somebody else runs the subscriber, or has moved its cursor. */
type Outcome = 'done' | 'lost'

const BATCH = 200
/** How long a process that found another one at work leaves it alone; also the longest a killed one's work waits. */
const STANDBY_MS = 250
const OUTAGE_WAIT_MS = 500
/** Waits after the first to the fourth try; the fifth is the last. */
const RETRY_WAITS_MS = [1_000, 4_000, 15_000, 60_000]
/** Changes tried one by one after a process ended twice at the same cursor: at least as many as were in hand then. */
const CAREFUL = BATCH
const MAX_ERROR_LENGTH = 2_000
const DEADLOCK_RETRIES = 5
const STOP_WAIT_MS = 3_000

export function createRunner(options: RunnerOptions): Runner {
  const { db, log, subscriber, tail } = options
  const { name } = subscriber
  const matches = topicMatcher(subscriber.topics)
  let cursor = -1
  let scanned = -1
  let carefulLeft = 0
  let hasTakenOver = false
  let isRetryDue = false
  let losses = 0
  let isWanted = false
  let isRunning = false
  const stopping = new AbortController()
  const { signal } = stopping
  let running: Promise<void> = Promise.resolve()

  function wake(): void {
    isWanted = true
    if (isRunning || signal.aborted) return
    isRunning = true
    running = run()
  }

  async function run(): Promise<void> {
    while (isWanted && !signal.aborted) {
      isWanted = false
      try {
        if ((await work()) === 'done') {
          losses = 0
          continue
        }
        // Once may be our own saving of the cursor; twice is another process.
        if (losses++ > 0) await sleep(STANDBY_MS)
        await synchronize()
      } catch (error) {
        log.warn({ err: error, subscriber: name }, 'subscriber interrupted, it will go on where it was')
        await sleep(OUTAGE_WAIT_MS)
      }
      isWanted = true
    }
    isRunning = false
  }

  async function work(): Promise<Outcome> {
    if (cursor < 0) await synchronize()
    if (isRetryDue) await retryParked()
    while (!signal.aborted) {
      const page = await tail.page(scanned, options.head.position, subscriber.topics, matches)
      if (page.upTo <= scanned) return 'done'
      for (let start = 0; start < page.changes.length && !signal.aborted;) {
        if (!hasTakenOver && (await takeOver()) === 'lost') return 'lost'
        const size = carefulLeft > 0 || subscriber.mode === 'each' ? 1 : BATCH
        const group = page.changes.slice(start, start + size)
        if ((await deliver(group)) === 'lost') return 'lost'
        start += size
      }
      if (!signal.aborted) scanned = page.upTo
    }
    return 'done'
  }

  async function synchronize(): Promise<void> {
    const position = (await selectCursors(db, [name])).get(name)
    if (position === undefined) throw new Error(`subscriber ${name} is not registered`)
    // Cursors only go forwards, except in a log that is an older copy of itself.
    if (position < cursor) tail.reset()
    scanned = position < cursor ? position : Math.max(scanned, position)
    cursor = position
  }

  /** Before the first change handled here: was it perhaps the next one that ended earlier processes? */
  async function takeOver(): Promise<Outcome> {
    const outcome = await transact(async (tx) => {
      if (!(await lockSubscriber(tx, name))) return 'lost'
      if ((await selectStanding(tx, name, [])).position !== cursor) return 'lost'
      const claim = await claimSubscriber(tx, name, cursor)
      if (claim.claims > 1) carefulLeft = CAREFUL
      const suspect = claim.trialPosition ?? -1
      if (suspect <= cursor) return 'done'
      const [change] = await selectChanges(tx, { after: suspect - 1, upTo: suspect, audience: 'all', limit: 1 })
      if (change === undefined) return 'done'
      await insertFailed(tx, name, change, 'The process ended while it handled this change.', RETRY_WAITS_MS[0]!)
      await insertProgress(tx, [name], [suspect])
      return 'lost'
    })
    hasTakenOver = outcome === 'done'
    return outcome
  }

  async function deliver(changes: readonly Change[]): Promise<Outcome> {
    if (carefulLeft > 0) {
      carefulLeft -= 1
      await transact(async (tx) => saveTrial(tx, name, changes[0]!.position))
    }
    try {
      const outcome = await moveCursor(changes, (tx, ready) => subscriber.handle(tx, ready))
      if (outcome === 'done') faultPoint('after-subscriber-commit')
      return outcome
    } catch (error) {
      if (isOutage(error)) throw error
      if (changes.length === 1) return setAside(changes[0]!, error)
      const middle = Math.ceil(changes.length / 2)
      const first = await deliver(changes.slice(0, middle))
      return first === 'lost' || signal.aborted ? first : deliver(changes.slice(middle))
    }
  }

  async function setAside(change: Change, error: unknown): Promise<Outcome> {
    log.error({ err: error, subscriber: name, topic: change.topic, position: change.position }, 'change set aside')
    return moveCursor([change], (tx) => insertFailed(tx, name, change, describe(error), RETRY_WAITS_MS[0]!))
  }

  /** One transaction: `handle` for those whose key has nothing parked, the others behind their key's, and the cursor after the last one. */
  async function moveCursor(
    changes: readonly Change[],
    handle: (tx: Tx, ready: readonly Change[]) => Promise<void>,
  ): Promise<Outcome> {
    const last = changes.at(-1)!.position
    const keys = [...new Set(changes.map((change) => change.key))]
    const outcome = await transact(async (tx) => {
      if (!(await lockSubscriber(tx, name))) return 'lost'
      const standing = await selectStanding(tx, name, keys)
      if (standing.position !== cursor) return 'lost'
      const parked = new Set(standing.parkedKeys)
      const held = changes.filter((change) => parked.has(change.key))
      const ready = parked.size === 0 ? changes : changes.filter((change) => !parked.has(change.key))
      if (held.length > 0) await insertHeld(tx, name, held)
      if (ready.length > 0) await handle(tx, ready)
      await insertProgress(tx, [name], [last])
      faultPoint('before-subscriber-commit')
      return 'done'
    })
    if (outcome === 'done') {
      cursor = last
      scanned = last
    }
    return outcome
  }

  /** Runs what is due, each key in order. The try is counted before it is made, so that one that ends the process counts. */
  async function retryParked(): Promise<void> {
    isRetryDue = false
    while (!signal.aborted) {
      const change = await transact(async (tx) =>
        (await lockSubscriber(tx, name)) ? beginRetry(tx, name, RETRY_WAITS_MS) : undefined,
      )
      if (change === undefined) return
      try {
        await transact((tx) => handleParked(tx, change))
      } catch (error) {
        log.error(
          { err: error, subscriber: name, topic: change.topic, position: change.position },
          'parked change failed',
        )
        await transact((tx) => saveRetryError(tx, name, change.position, describe(error)))
      }
    }
  }

  async function handleParked(tx: Tx, change: Change): Promise<void> {
    if (!(await awaitSubscriber(tx, name))) return
    // Deleted first: a change that somebody dropped meanwhile is not handled.
    if ((await deleteParked(tx, name, change.position, change.key)) > 0) await subscriber.handle(tx, [change])
  }

  function transact<T>(run: (tx: Tx) => Promise<T>): Promise<T> {
    return options.slots(() => db.transaction(run, { retries: DEADLOCK_RETRIES }))
  }

  return {
    name,
    get cursor() {
      return cursor
    },
    get scanned() {
      return scanned
    },
    get isIdle() {
      return !isRunning
    },
    wake,
    retry: () => {
      isRetryDue = true
      wake()
    },
    saved: (position) => {
      cursor = position
    },
    reset: () => {
      cursor = -1
      scanned = -1
    },
    stop: async () => {
      stopping.abort()
      await Promise.race([running, sleep(STOP_WAIT_MS, undefined, { ref: false })])
    },
  }
}

function describe(error: unknown): string {
  return String(error instanceof Error ? error.message : error).slice(0, MAX_ERROR_LENGTH)
}
