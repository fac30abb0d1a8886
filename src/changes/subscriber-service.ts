import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { createSlots } from '../platform/slots.ts'
import type { KnownHead } from './known-head.ts'
import { selectDue } from './parked-queries.ts'
import { clearClaims, insertProgress, isSameLog, registerSubscribers, touchSubscribers } from './subscriber-queries.ts'
import { createRunner, type Runner } from './subscriber-runner.ts'
import type { Subscriber } from './subscriber.ts'
import type { Tail } from './tail.ts'

export interface SubscriberServiceOptions {
  db: Db
  config: Pick<Config, 'databasePoolSize'>
  log: Logger
  tail: Tail
  head: KnownHead
  /** That of the positions which the runners know; undefined before the first look. */
  epoch(): string | undefined
  subscribers: readonly Subscriber[]
}

export interface SubscriberService extends Service {
  /** Empty once stopped. */
  readonly runners: readonly Runner[]
}

/** Between saves of cursors that only passed changes of other topics, and looks for parked changes that are due. */
const UPKEEP_MS = 1_000
/** Far below the days after which a subscriber counts as gone. */
const TOUCH_MS = 3_600_000

/** Runs all subscribers of this process. They take at most a third of the pool: requests must not wait behind consequences. */
export function createSubscriberService(options: SubscriberServiceOptions): SubscriberService {
  const { db, config, log, subscribers } = options
  requireUniqueNames(subscribers)
  const slots = createSlots(Math.max(1, Math.floor(config.databasePoolSize / 3)))
  const runners = subscribers.map((subscriber) => createRunner({ ...options, subscriber, slots }))
  const names = subscribers.map((subscriber) => subscriber.name)
  let timer: NodeJS.Timeout | undefined
  let stopListening: (() => void) | undefined
  let touchedAt = performance.now()
  let isStopped = false

  function wakeAll(): void {
    for (const runner of runners) runner.wake()
  }

  async function upkeep(): Promise<void> {
    try {
      await saveScanned()
      const due = new Set(await selectDue(db, names))
      for (const runner of runners) if (due.has(runner.name)) runner.retry()
      if (performance.now() - touchedAt > TOUCH_MS) {
        await db.transaction((tx) => touchSubscribers(tx, names))
        touchedAt = performance.now()
      }
    } catch (error) {
      log.warn({ err: error }, 'upkeep of subscribers failed, it will run again')
    }
    if (!isStopped) timer = setTimeout(() => void upkeep(), UPKEEP_MS)
  }

  /** Needs no lock: between cursor and `scanned` is nothing for anybody to do. */
  async function saveScanned(): Promise<void> {
    const ahead = runners.filter((runner) => runner.isIdle && runner.cursor >= 0 && runner.scanned > runner.cursor)
    const epoch = options.epoch()
    if (ahead.length === 0 || epoch === undefined) return
    const positions = ahead.map((runner) => runner.scanned)
    const isSaved = await db.transaction(async (tx) => {
      // Cursors that are ahead of what an older copy of the log has would pass over all that it is still to get.
      if (!(await isSameLog(tx, epoch, Math.max(...positions)))) return false
      await insertProgress(
        tx,
        ahead.map((runner) => runner.name),
        positions,
      )
      return true
    })
    if (!isSaved) return
    for (const [index, runner] of ahead.entries()) if (runner.isIdle) runner.saved(positions[index]!)
  }

  return {
    name: 'changes.subscribers',
    get runners() {
      return isStopped ? [] : runners
    },
    start: async () => {
      await register(db, log, subscribers)
      stopListening = options.head.onAdvance(wakeAll)
      wakeAll()
      timer = setTimeout(() => void upkeep(), UPKEEP_MS)
    },
    stop: async () => {
      if (isStopped) return
      isStopped = true
      clearTimeout(timer)
      stopListening?.()
      await Promise.all(runners.map((runner) => runner.stop()))
      await db.transaction((tx) => clearClaims(tx, names))
    },
  }
}

/** Makes subscribers known before anything they should hear of is recorded; safe to repeat and in every role. */
export async function register(db: Db, log: Logger, subscribers: readonly Subscriber[]): Promise<void> {
  const wanted = subscribers.map(({ name, startsAt }) => ({ name, fromStart: startsAt === 'oldest' }))
  const added = await db.transaction((tx) => registerSubscribers(tx, wanted))
  if (added.length > 0) log.info({ subscribers: added }, 'new subscribers of the change log')
}

function requireUniqueNames(subscribers: readonly Subscriber[]): void {
  const names = new Set(subscribers.map((subscriber) => subscriber.name))
  if (names.size !== subscribers.length) throw new Error('two subscribers have the same name, and would share a cursor')
}
