import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

import { FOLLOWED_AT_ONCE, type ChangeLog } from '../changes/index.ts'
import { UnavailableError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { createEntry, type Entry } from './entry.ts'
import type { RecentChanges } from './recent-changes.ts'

export interface Tail {
  /** The epoch and position this process has read and handed out up to; empty and 0 before the start. */
  readonly epoch: string
  readonly position: number
  /** The first position the log still keeps, as of the last look. */
  readonly oldest: number
  /** Waits until this process has read up to `position`; false when the log does not reach that far, UnavailableError when it takes too long. */
  reach(position: number): Promise<boolean>
  service: Service
}

export interface TailOptions {
  changeLog: Pick<ChangeLog, 'follow' | 'reached' | 'head' | 'onAdvance'>
  log: Logger
  recent: RecentChanges
  /** Hears of every batch before any change of it is handed out. */
  onBatch(entries: readonly Entry[]): void
  /** Hands the change out, in this very call, and returns to how many. */
  onEntry(entry: Entry): number
  /** After each batch. */
  onBatchEnd(): void
  /** The log is another one, or dropped what was not read yet: all who follow have a gap. */
  onReset(): void
}

/** Sends after which other work gets a turn. */
const SENDS_AT_ONCE = 2_000
/** How often the epoch and the first position are looked at, although no change arrives. */
const HEAD_EVERY_MS = 1_000
const RETRY_MS = 250
const REACH_LIMIT_MS = 10_000
const STOP_WAIT_MS = 2_000

/** Somebody who knows of a position, from another process, that this one has yet to read. */
interface ReachWaiter {
  position: number
  settle(): void
}

/**
 * The one reader of the log in this process. Positions have no gaps, so after the first look at the head everything is "read what follows
 * my position"; `position` moves on in the same call that hands the change out, which is what lets others join without gap or double.
 */
export function createTail(options: TailOptions): Tail {
  const { changeLog, log, recent } = options
  let epoch = ''
  let position = 0
  let oldest = 1
  let headSeenAt = Number.NEGATIVE_INFINITY
  let isStopped = true
  let isReading = false
  let isAskedAgain = false
  let timer: NodeJS.Timeout | undefined
  let stopListening: (() => void) | undefined
  let reading: Promise<void> | undefined
  const waiting = new Set<ReachWaiter>()

  async function lookAtHead(isPassed = false): Promise<void> {
    const head = await changeLog.head()
    headSeenAt = performance.now()
    oldest = head.oldest
    if (!isPassed && head.epoch === epoch && head.position >= position) return
    const isFirstLook = epoch === ''
    epoch = head.epoch
    position = head.position
    recent.reset(position)
    if (isFirstLook) return
    log.warn({ epoch, position }, 'the change log cannot be read on from where it was: followers are told of the gap')
    options.onReset()
  }

  async function readOn(): Promise<void> {
    for (;;) {
      if (performance.now() - headSeenAt >= HEAD_EVERY_MS) await lookAtHead()
      const changes = await changeLog.follow(position)
      if (isStopped || changes.length === 0) return
      if (changes[0]!.position !== position + 1) {
        // Retention has passed this process. Reading on would skip changes in silence.
        await lookAtHead(true)
        continue
      }
      await handOut(changes.map((change) => createEntry(change, epoch)))
      if (changes.length < FOLLOWED_AT_ONCE && hasCaughtUp()) return
    }
  }

  /** As far as this process knows: it does not hear of the head while its connection for that is lost. */
  function hasCaughtUp(): boolean {
    return position >= changeLog.reached && [...waiting].every((waiter) => waiter.position <= position)
  }

  async function handOut(entries: Entry[]): Promise<void> {
    options.onBatch(entries)
    let sends = 0
    for (const entry of entries) {
      if (isStopped) return
      recent.append(entry)
      position = entry.position
      sends += options.onEntry(entry)
      if (sends < SENDS_AT_ONCE) continue
      sends = 0
      options.onBatchEnd()
      await setImmediate()
    }
    options.onBatchEnd()
    for (const waiter of waiting) if (waiter.position <= position) waiter.settle()
  }

  /** One reading at a time; whoever asks meanwhile causes another one after it. */
  function advance(): void {
    if (isStopped) return
    isAskedAgain = true
    if (isReading) return
    isReading = true
    reading = readUntilQuiet()
  }

  async function readUntilQuiet(): Promise<void> {
    clearTimeout(timer)
    let wait = HEAD_EVERY_MS
    try {
      while (isAskedAgain) {
        isAskedAgain = false
        await readOn()
      }
    } catch (error) {
      log.warn({ err: error }, 'reading the change log failed, trying again')
      // The server behind the connection may be another one by the next attempt.
      headSeenAt = Number.NEGATIVE_INFINITY
      wait = RETRY_MS
    }
    isReading = false
    if (!isStopped) timer = setTimeout(advance, wait)
  }

  async function reach(target: number): Promise<boolean> {
    if (target <= position) return true
    const head = await changeLog.head()
    if (head.position < target) return false
    advance()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(limit)
        waiting.delete(waiter)
        if (position >= target) resolve(true)
        else reject(new UnavailableError('The change log is out of reach. Try again.', 1))
      }
      const limit = setTimeout(settle, REACH_LIMIT_MS)
      const waiter = { position: target, settle }
      waiting.add(waiter)
    })
  }

  return {
    get epoch() {
      return epoch
    },
    get position() {
      return position
    },
    get oldest() {
      return oldest
    },
    reach,
    service: {
      name: 'realtime.tail',
      start: async () => {
        await lookAtHead()
        isStopped = false
        stopListening = changeLog.onAdvance(advance)
        advance()
      },
      stop: async () => {
        isStopped = true
        clearTimeout(timer)
        stopListening?.()
        for (const waiter of waiting) waiter.settle()
        await Promise.race([reading, sleep(STOP_WAIT_MS, undefined, { ref: false })])
      },
    },
  }
}
