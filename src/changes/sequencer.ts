import { setTimeout as sleep } from 'node:timers/promises'

import { errorCode } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import type { Logger } from '../platform/log.ts'
import type { KnownHead } from './known-head.ts'
import type { LogConnection } from './log-connection.ts'
import { sequencePass, type Pass } from './log-queries.ts'

export interface Sequencer {
  /** Says that something was committed: a pass follows soon. Many calls cause one. */
  kick(): void
  start(): Promise<void>
  stop(): Promise<void>
}

export interface SequencerOptions {
  connection: LogConnection
  log: Logger
  /** Most changes of one pass. */
  batchLimit: number
  /** Size that a partition of the log should have, when it is full. */
  partitionBytes: number
  /** Told after every pass. */
  head: Pick<KnownHead, 'position' | 'found'>
  /** Waited for between a pass and telling what it found. */
  beforeFound(): Promise<void>
}

/** Under load changes gather for this long and share a pass; the first after a quiet moment does not wait. */
const BETWEEN_PASSES_MS = 4
/** On a busy machine a pass takes longer; so that passes become fewer and larger then, this many times as long, within a limit. */
const REST = 3
const MAX_BETWEEN_PASSES_MS = 16
/** Safety net for hints that were lost. */
const POLL_MS = 250
const LOCK_TIMED_OUT = '55P03'

/** Gives committed changes their positions. Every process has one; the database lets one of them work at a time. */
export function createSequencer(options: SequencerOptions): Sequencer {
  const { connection, log } = options
  let isWanted = false
  let isHinted = false
  let isRunning = false
  const stopping = new AbortController()
  let isStarted = false
  let isFailing = false
  let nextPassAt = 0
  let running: Promise<void> = Promise.resolve()
  let poll: NodeJS.Timeout | undefined

  function kick(): void {
    isHinted = true
    request()
  }

  function request(): void {
    isWanted = true
    if (isRunning || !isStarted || stopping.signal.aborted) return
    isRunning = true
    running = run()
  }

  async function run(): Promise<void> {
    while (isWanted && !stopping.signal.aborted) {
      const wait = nextPassAt - performance.now()
      if (wait > 0) await sleep(wait)
      isWanted = false
      const startedAt = performance.now()
      const hasMore = await attempt()
      const rest = Math.min(REST * (performance.now() - startedAt), MAX_BETWEEN_PASSES_MS)
      nextPassAt = hasMore ? 0 : startedAt + Math.max(rest, BETWEEN_PASSES_MS)
    }
    // In the same breath as the last look at isWanted, or a kick in between would be lost.
    isRunning = false
  }

  /** Whether the pass left something to the next one. */
  async function attempt(): Promise<boolean> {
    try {
      const { more } = await pass()
      isWanted ||= more
      isFailing = false
      return more
    } catch (error) {
      // The poll tries again; once is enough to say so.
      if (!isFailing && errorCode(error) !== LOCK_TIMED_OUT)
        log.warn({ err: error }, 'changes cannot be sequenced for now')
      isFailing = true
      return false
    }
  }

  async function pass(): Promise<Pass> {
    const knownBefore = options.head.position
    const answer = connection.rows<Pass>(sequencePass(options.batchLimit, options.partitionBytes))
    // By then the statement is on its way: the server may or may not commit it.
    if (isHinted) setImmediate(() => faultPoint('before-sequence-commit'))
    isHinted = false
    const [result] = await answer
    if (result!.taken > 0) faultPoint('after-sequence-commit')
    await options.beforeFound()
    options.head.found(result!.head, knownBefore)
    return result!
  }

  return {
    kick,
    start: async () => {
      // The first pass finds out where the log lives, so that nobody is told an epoch of before a restore.
      await pass()
      isStarted = true
      poll = setInterval(request, POLL_MS)
      request()
    },
    stop: async () => {
      stopping.abort()
      clearInterval(poll)
      await running
    },
  }
}
