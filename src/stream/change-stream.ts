import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import type { Logger } from '../platform/log.ts'
import type { Service } from '../platform/service.ts'
import type { Sweep } from '../platform/sweep.ts'
import { createPublisher, type Publisher } from './publisher.ts'
import { retentionSweep } from './retention.ts'
import { selectProgress } from './row-change-queries.ts'

export interface ChangeStreamOptions {
  db: Db
  config: Config
  clock: Clock
  log: Logger
  /** Of the change log: renewed when the database is restored. */
  epoch(): Promise<string>
  /** Calls the listener soon after commits; returns the way to stop. */
  onCommit(listener: () => void): () => void
}

export interface StreamStatus {
  /** Row changes that are in Redis; each counted once, however often it was published. */
  published: number
  /** Committed row changes that are not. */
  waiting: number
  /** How long the first of them has been waiting. */
  waitingSeconds: number
  /** Why this process cannot publish; undefined when it can, or another process does. */
  problem: string | undefined
}

/** Every committed change of a row as an entry of a Redis stream (store contract, section 7). */
export interface ChangeStream {
  /** The publisher, in worker roles; none without Redis. */
  services(): Service[]
  sweeps(): Sweep[]
  /** For /readyz and metrics. */
  status(): Promise<StreamStatus>
}

export function createChangeStream(options: ChangeStreamOptions): ChangeStream {
  const { db, config } = options
  let publisher: Publisher | undefined

  return {
    services: () => {
      if (config.redisUrl === undefined) return []
      publisher = createPublisher({ ...options, redisUrl: config.redisUrl })
      return [publisher]
    },
    sweeps: () => [retentionSweep(options)],
    status: async () => {
      const { head, published, unplaced, waiting_seconds } = await selectProgress(db)
      return {
        published,
        waiting: head - published + unplaced,
        waitingSeconds: Math.round(waiting_seconds),
        problem: publisher?.problem,
      }
    },
  }
}
