import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db, Queryable } from '../platform/db/db.ts'
import { sql } from '../platform/db/sql.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { sweepService } from '../platform/sweep.ts'
import { createLogConnection } from './log-connection.ts'
import { isPlaced, selectChanges, selectHead, type Head, type ReadQuery } from './log-queries.ts'
import { deleteParked, findParked, releaseParked, selectParked } from './parked-queries.ts'
import type { ParkedChange, ParkedFilter } from './parked-queries.ts'
import { deleteSubscriber, trimOutbox } from './retention-queries.ts'
import { retainChanges } from './retention.ts'
import { createSequencer } from './sequencer.ts'
import { readStatus, type LogStatus } from './status.ts'
import { createSubscriberService, register, type SubscriberService } from './subscriber-service.ts'
import type { Subscriber } from './subscriber.ts'
import { createTail } from './tail.ts'
import type { Change, Topic } from './topic.ts'
import { connectWaker } from './wake.ts'

export interface ChangeLogOptions {
  db: Db
  config: Config
  clock: Clock
  log: Logger
  topics: readonly Topic[]
}

export interface ChangeLog {
  /** Epoch, last position and first position still kept, as of now. */
  head(): Promise<Head>
  /**
   * Changes with position > after (and <= upTo), in order, at most limit; audience 'all' or a list of keys of which one must match; topics
   * with trailing `*`. Compare `after` with `head().oldest` once the answer is there: what retention has dropped is missing without a sign.
   */
  read(db: Queryable, query: ReadQuery): Promise<Change[]>
  /** Called (coalesced, no arguments) whenever new positions may be readable. Returns the way to stop. */
  onAdvance(listener: () => void): () => void
  /** Sequencer with its connection, retention; for every role. */
  services(): Service[]
  /** Makes subscribers known without running them: for roles that record before a process that runs them has ever started. */
  register(subscribers: readonly Subscriber[]): Promise<void>
  /** Runs the given subscribers with durable cursors; any number of processes may. */
  subscriberServices(subscribers: readonly Subscriber[]): Service[]
  /** For /readyz and metrics: per subscriber lag, parked counts. */
  status(): Promise<LogStatus>
  /** Parked changes, of one subscriber or all, in order. */
  listParked(subscriber?: string, limit?: number): Promise<ParkedChange[]>
  /** Tries parked changes again, each key in order: one key, the key of one change, or all. Returns the number of keys. */
  replayParked(subscriber: string, filter?: ParkedFilter): Promise<number>
  /** Gives one parked change up; later ones of its key go on. False when there is none of that id. */
  dropParked(subscriber: string, id: string): Promise<boolean>
  /** Forgets a subscriber that is no longer in the code, its cursor and what is parked for it. */
  forgetSubscriber(name: string): Promise<boolean>
  /** Whether all committed changes with an outbox number up to this have their position and the subscribers of this process are done. */
  isDrained(upToSeq: number): Promise<boolean>
}

/** Most changes of one pass of the sequencer: some ten milliseconds of work. */
const PASS_LIMIT = 1_000
/** The log is kept in about this many partitions, and shrinks by one at a time. */
const PARTITIONS = 16
const RETENTION_EVERY_SECONDS = 60
const TRIM_EVERY_SECONDS = 5
const DEFAULT_PARKED_LIMIT = 1_000

/** The change log of one process on one pool. Nothing runs before its services are started. */
export function createChangeLog(options: ChangeLogOptions): ChangeLog {
  const { db, config, log } = options
  requireUniqueTopics(options.topics)
  const listeners = new Set<() => void>()
  const tail = createTail(db)
  const subscriberServices: SubscriberService[] = []
  let head = 0

  function onHead(position: number): void {
    if (position === head) return
    if (position < head) forgetPositions()
    head = position
    for (const listener of listeners) listener()
  }

  /** Positions only fall when the database has become an older copy of itself. */
  function forgetPositions(): void {
    log.warn('the change log has gone back in time, all cursors are read again')
    tail.reset()
    for (const service of subscriberServices) for (const runner of service.runners) runner.reset()
  }

  function createSequencing(): Service {
    const connection = createLogConnection({
      db,
      log,
      channels: ['souk_changes'],
      // The answers of our own passes come first; what another process says may be older than them, but never lower than true.
      onNotification: (_channel, position) => onHead(Math.max(head, Number(position))),
      onReconnect: () => sequencer.kick(),
    })
    const sequencer = createSequencer({
      connection,
      log,
      onHead,
      batchLimit: PASS_LIMIT,
      partitionBytes: Math.floor(config.changeRetention.bytes / PARTITIONS),
    })
    let disconnect: (() => void) | undefined
    return {
      name: 'changes.sequencer',
      start: async () => {
        await connection.open()
        await sequencer.start()
        disconnect = connectWaker(db, sequencer.kick)
      },
      stop: async () => {
        disconnect?.()
        await sequencer.stop()
        await connection.close()
      },
    }
  }

  function createUpkeep(): Service[] {
    const trim = async (): Promise<void> => void (await trimOutbox(db))
    return [
      sweepService({ name: 'changes.trim-outbox', everySeconds: TRIM_EVERY_SECONDS, run: trim }, log),
      sweepService(
        { name: 'changes.retain', everySeconds: RETENTION_EVERY_SECONDS, run: () => retainChanges(options) },
        log,
      ),
    ]
  }

  function retrySoon(name: string): void {
    for (const service of subscriberServices) {
      for (const runner of service.runners) if (runner.name === name) runner.retry()
    }
  }

  return {
    head: () => selectHead(db),
    read: selectChanges,
    onAdvance: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    services: () => [createSequencing(), ...createUpkeep()],
    register: (subscribers) => register(db, log, subscribers),
    subscriberServices: (subscribers) => {
      const onAdvance = (listener: () => void): (() => void) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      }
      const service = createSubscriberService({ db, config, log, tail, head: () => head, onAdvance, subscribers })
      subscriberServices.push(service)
      return [service]
    },
    status: () => readStatus(db),
    listParked: (subscriber, limit = DEFAULT_PARKED_LIMIT) => selectParked(db, subscriber, limit),
    replayParked: async (subscriber, filter = {}) => {
      const keys = await db.transaction((tx) => releaseParked(tx, subscriber, filter))
      retrySoon(subscriber)
      return keys
    },
    dropParked: (subscriber, id) =>
      db.transaction(async (tx) => {
        const found = await findParked(tx, subscriber, id)
        return found !== undefined && (await deleteParked(tx, subscriber, found.position, found.key)) > 0
      }),
    forgetSubscriber: (name) => db.transaction((tx) => deleteSubscriber(tx, name)),
    isDrained: async (upToSeq) => {
      if (!(await isPlaced(db, upToSeq))) return false
      const { position } = await selectHead(db)
      const runners = subscriberServices.flatMap((service) => service.runners)
      return runners.every((runner) => runner.isIdle && runner.scanned >= position)
    },
  }
}

function requireUniqueTopics(topics: readonly Topic[]): void {
  const names = new Set<string>()
  for (const { name } of topics) {
    if (names.has(name)) throw new Error(`topic ${name} is defined twice`)
    names.add(name)
  }
}
