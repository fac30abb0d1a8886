import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import { faultPoint } from '../platform/fault.ts'
import { newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { version } from '../platform/version.ts'
import { createEnvelopes, type Entry, type RecordedRowChange } from './envelope.ts'
import { openRedisStreams, type Marker, type RedisStreams } from './redis-streams.ts'
import {
  insertCursor,
  placeRowChanges,
  selectCursor,
  selectRowChanges,
  selectSurroundings,
} from './row-change-queries.ts'

export interface PublisherOptions {
  db: Db
  redisUrl: string
  config: Pick<Config, 'changeStream'>
  clock: Clock
  log: Logger
  /** Of the database: positions of another epoch mean nothing here. */
  epoch(): Promise<string>
  /** Calls the listener when something has been committed; returns the way to stop. */
  onCommit(listener: () => void): () => void
}

export interface Publisher extends Service {
  /** Why nothing can be published now, in words that name no host; undefined when it can, or another process does. */
  readonly problem: string | undefined
}

/** What comes after a step: waiting for commits, leaving the work to another process, or the next step. */
type Step = 'idle' | 'standby' | 'again'

const BATCH = { rows: 500, bytes: 4 * 1024 * 1024 }
/** Safety net for hints that were lost, pulse of the lease, and the longest a wiped Redis goes unnoticed. */
const POLL_MS = 250
/** Under load commits gather for this long and share a batch. */
const GATHER_MS = 4
/** Also the longest that a killed publisher is waited for beyond its lease. */
const STANDBY_MS = 500
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
const STOP_WAIT_MS = 2_000
/** No text that Redis holds. */
const UNKNOWN: Marker = '?'

/**
 * Brings row changes to Redis, in order and at least once. Every process with background work has one; a lease in Redis lets one of them
 * work, and the marker there keeps order and count right whatever happens to the lease.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { db, log } = options
  const { prefix, maxLength } = options.config.changeStream
  const stopping = new AbortController()
  const { signal } = stopping
  let streams: RedisStreams
  let toEntry: ((change: RecordedRowChange) => Entry) | undefined
  let epoch = ''
  let marker = UNKNOWN
  let position = 0
  let savedPosition = 0
  let problem: string | undefined
  let retryMs = FIRST_RETRY_MS
  let isWanted = false
  let isIdle = false
  let wakeUp: (() => void) | undefined
  let stopListening: (() => void) | undefined
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    while (!signal.aborted) {
      isWanted = false
      const step = await attempt()
      if (step === 'failed') await pause((retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)))
      else if (step === 'standby') await pause(STANDBY_MS)
      else if (step === 'idle') await pauseUntilCommit()
    }
  }

  async function attempt(): Promise<Step | 'failed'> {
    try {
      const step = await publishWaiting()
      if (problem !== undefined) log.info('the change stream goes on')
      problem = undefined
      retryMs = FIRST_RETRY_MS
      return step
    } catch (error) {
      const words = describe(error)
      if (words !== problem) log.warn({ err: error }, `the change stream waits: ${words}`)
      problem = words
      // Where Redis and the database are is found out anew: either may come back as an older copy of itself.
      marker = UNKNOWN
      return 'failed'
    }
  }

  async function publishWaiting(): Promise<Step> {
    const claim = await streams.publish({ entries: [], expected: marker, next: marker })
    if (claim.result === 'held') return 'standby'
    if (claim.result === 'moved') await takeOver(claim.marker)
    const head = await placeRowChanges(db)
    if (head < position) {
      marker = UNKNOWN
      return 'again'
    }
    return publishUpTo(head)
  }

  /** The next batch is read, and how far the last one came is saved, while Redis takes one. */
  async function publishUpTo(head: number): Promise<Step> {
    let changes = await selectRowChanges(db, position, BATCH)
    while (position < head && !signal.aborted) {
      const next = changes.at(-1)?.position ?? head
      const nextMarker = `${epoch} ${next}`
      faultPoint('stream-before-publish')
      const [{ result }, following] = await Promise.all([
        streams.publish({ entries: changes.map(toEntry!), expected: marker, next: nextMarker }),
        next < head ? selectRowChanges(db, next, BATCH) : [],
        saveCursor(),
      ])
      // Redis was wiped, or somebody else was faster: the next step finds out.
      if (result !== 'published') return 'again'
      faultPoint('stream-after-publish')
      marker = nextMarker
      position = next
      changes = following
    }
    await saveCursor()
    faultPoint('stream-after-cursor')
    return 'idle'
  }

  async function saveCursor(): Promise<void> {
    if (savedPosition === position) return
    const reached = position
    await insertCursor(db, reached)
    savedPosition = reached
  }

  /** Decides where to go on, seeing what Redis has. */
  async function takeOver(found: Marker): Promise<void> {
    const { database, instants } = await selectSurroundings(db)
    toEntry = createEnvelopes({ prefix, database, version, instants, clock: options.clock })
    epoch = await options.epoch()
    const head = await placeRowChanges(db)
    savedPosition = await selectCursor(db)
    position = startAfter(found, { epoch, head, saved: savedPosition })
    if (position < savedPosition)
      log.warn({ from: position, to: savedPosition }, 'Redis has lost entries, publishing them again')
    await saveCursor()
    marker = found
  }

  function startAfter(found: Marker, known: { epoch: string; head: number; saved: number }): number {
    // Nothing there, not even this: what the streams held is published again, as far as it is kept.
    if (found === '') return 0
    const [foundEpoch, foundPosition] = found.split(' ')
    if (foundEpoch === known.epoch && Number(foundPosition) <= known.head) return Number(foundPosition)
    log.warn(
      'the streams in Redis come from another database or from before a restore, going on after what this one has published',
    )
    return known.saved
  }

  function pause(ms: number): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function pauseUntilCommit(): Promise<void> {
    isIdle = !isWanted
    await pause(isWanted ? GATHER_MS : POLL_MS)
    isIdle = false
  }

  function onCommit(): void {
    isWanted = true
    if (isIdle) wakeUp?.()
  }

  return {
    name: 'stream.publisher',
    get problem() {
      return problem
    },
    start: async () => {
      streams = await openRedisStreams({
        url: options.redisUrl,
        prefix,
        maxLength,
        publisher: newId(),
        onReady: () => wakeUp?.(),
      })
      stopListening = options.onCommit(onCommit)
      // Not before the connection stands; nor does the start of the process wait for a Redis that hangs.
      running = streams.tried.then(run)
    },
    stop: async () => {
      if (signal.aborted) return
      stopping.abort()
      stopListening?.()
      wakeUp?.()
      const end = running.then(() => streams?.release()).catch(() => undefined)
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS).unref())])
      streams?.close()
    },
  }
}

const MAX_WORDS = 200

/** What Redis answers may be shown; what the network says names hosts. */
function describe(error: unknown): string {
  const { name, message } = error as Error
  return name === 'ReplyError' ? `Redis says ${message.slice(0, MAX_WORDS)}` : 'Redis or the database does not answer'
}
