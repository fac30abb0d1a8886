import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db, Queryable, Tx } from '../platform/db/db.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import { sweepService, type Sweep } from '../platform/sweep.ts'
import { createKnownHead, type KnownHead } from './known-head.ts'
import { createLogConnection } from './log-connection.ts'
import { isPlaced, selectChanges, selectHead, type Head, type ReadQuery } from './log-queries.ts'
import { deleteParked, findParked, releaseParked, selectParked } from './parked-queries.ts'
import type { ParkedChange, ParkedFilter } from './parked-queries.ts'
import { deleteSubscriber, trimOutbox } from './retention-queries.ts'
import { retainChanges } from './retention.ts'
import { createSequencer } from './sequencer.ts'
import { readStatus, type LogStatus } from './status.ts'
import { createSubscriberService, register, type SubscriberService } from './subscriber-service.ts'
import type { Runner } from './subscriber-runner.ts'
import type { Subscriber } from './subscriber.ts'
import { createTail } from './tail.ts'
import type { LoggedChange, Topic } from './topic.ts'
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
  read(db: Queryable, query: ReadQuery): Promise<LoggedChange[]>
  /**
   * The next changes after a position near the end, for all readers: the process reads them once for everybody who follows. Some at least as
   * long as the position is below `reached`. Does not begin at `after` + 1 where retention has dropped that.
   */
  follow(after: number): Promise<readonly LoggedChange[]>
  /** The last position that this process has heard of. */
  readonly reached: number
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
  const { db, log } = options
  requireUniqueTopics(options.topics)
  const head = createKnownHead(log)
  const tail = createTail(db)
  const running: SubscriberService[] = []
  let epoch: string | undefined
  const runners = (): Runner[] => running.flatMap((service) => service.runners)
  head.onReset(startOver)

  /** The log is another one: what is known of positions is worth nothing. */
  function startOver(): void {
    tail.reset()
    for (const runner of runners()) {
      runner.reset()
      runner.wake()
    }
  }

  async function lookAtHead(): Promise<Head> {
    const found = await selectHead(db)
    if (epoch !== undefined && found.epoch !== epoch) {
      log.warn({ epoch: found.epoch }, 'the change log is another one, all cursors are read again')
      startOver()
    }
    epoch = found.epoch
    return found
  }

  return {
    head: lookAtHead,
    read: selectChanges,
    follow: (after) => tail.following(after),
    get reached() {
      return head.position
    },
    onAdvance: head.onAdvance,
    services: () => [createSequencing(options, head, lookAtHead), ...createUpkeep(options)],
    register: (subscribers) => register(db, log, subscribers),
    subscriberServices: (subscribers) => {
      const service = createSubscriberService({ ...options, tail, head, epoch: () => epoch, subscribers })
      running.push(service)
      return [service]
    },
    status: () => readStatus(db),
    listParked: (subscriber, limit = DEFAULT_PARKED_LIMIT) => selectParked(db, subscriber, limit),
    replayParked: async (subscriber, filter = {}) => {
      const keys = await db.transaction((tx) => releaseParked(tx, subscriber, filter))
      for (const runner of runners()) if (runner.name === subscriber) runner.retry()
      return keys
    },
    dropParked: (subscriber, id) => db.transaction((tx) => dropParked(tx, subscriber, id)),
    forgetSubscriber: (name) => db.transaction((tx) => deleteSubscriber(tx, name)),
    isDrained: async (upToSeq) => {
      if (!(await isPlaced(db, upToSeq))) return false
      const { position } = await selectHead(db)
      return runners().every((runner) => runner.isIdle && runner.scanned >= position)
    },
  }
}

/** Sequencer, wake-ups and their connection. */
function createSequencing(
  { db, config, log }: ChangeLogOptions,
  head: KnownHead,
  lookAtHead: () => Promise<unknown>,
): Service {
  // A log can be replaced by an older copy of itself only while nobody is connected. The first pass then gives it its epoch.
  let mayBeAnother = true
  const connection = createLogConnection({
    db,
    log,
    channels: ['souk_changes'],
    onNotification: (_channel, position) => {
      if (!mayBeAnother) head.told(Number(position))
    },
    onLoss: () => {
      mayBeAnother = true
    },
    onReconnect: () => sequencer.kick(),
  })
  const sequencer = createSequencer({
    connection,
    log,
    head,
    beforeFound: async () => {
      if (mayBeAnother) await lookAtHead()
      mayBeAnother = false
    },
    batchLimit: PASS_LIMIT,
    partitionBytes: Math.floor(config.changeRetention.bytes / PARTITIONS),
  })
  let disconnect: (() => void) | undefined

  return {
    name: 'changes.sequencer',
    start: async () => {
      await connection.open()
      await sequencer.start()
      disconnect = connectWaker(db, () => sequencer.kick())
    },
    stop: async () => {
      disconnect?.()
      await sequencer.stop()
      await connection.close()
    },
  }
}

function createUpkeep(options: ChangeLogOptions): Service[] {
  const sweeps: Sweep[] = [
    {
      name: 'changes.trim-outbox',
      everySeconds: TRIM_EVERY_SECONDS,
      run: async () => void (await trimOutbox(options.db)),
    },
    {
      name: 'changes.retain',
      everySeconds: RETENTION_EVERY_SECONDS,
      run: async () => void (await retainChanges(options)),
    },
  ]
  return sweeps.map((sweep) => sweepService(sweep, options.log))
}

async function dropParked(tx: Tx, subscriber: string, id: string): Promise<boolean> {
  const found = await findParked(tx, subscriber, id)
  return found !== undefined && (await deleteParked(tx, subscriber, found.position, found.key)) > 0
}

function requireUniqueTopics(topics: readonly Topic[]): void {
  const names = topics.map((topic) => topic.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`topic ${twice} is defined twice`)
}
