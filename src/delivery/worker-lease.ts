import type { Db } from '../platform/db/db.ts'
import { newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { openConnection } from './connection.ts'
import * as queries from './lease-queries.ts'

/** A worker that has not renewed for this long is taken for dead; it renews five times as often. */
const LEASE_MS = 5_000

export interface WorkerLease {
  /** Undefined while the worker may not claim: before the first registration, or with a lease that has run out. */
  readonly worker: string | undefined
  /** Whether nobody has taken this worker for dead since. */
  isCurrent(worker: string): boolean
  start(): Promise<void>
  /** Ends the lease; what was not tried goes back at once. */
  stop(): Promise<void>
}

export interface WorkerLeaseOptions {
  db: Db
  log: Logger
  /** Others have taken this worker's work over; attempts that still run must stop. */
  onLost(): void
  /** Work of dead workers was given back just now. */
  onTakenOver(): void
  leaseMs?: number
}

/**
 * Keeps this process registered as a worker on a connection of its own, so that neither a busy pool nor a slow claim can let the lease run
 * out, and gives back the work of workers that died.
 */
export function createWorkerLease(options: WorkerLeaseOptions): WorkerLease {
  const { db, log, leaseMs = LEASE_MS } = options
  const connection = openConnection(db, 'souk delivery lease')
  let worker: string | undefined
  let renewedAt = 0
  let timer: NodeJS.Timeout | undefined
  let beating: Promise<void> = Promise.resolve()
  let isStopped = false
  let isTroubled = false

  async function beat(): Promise<void> {
    const began = performance.now()
    if (worker === undefined) {
      const id = newId()
      await queries.insertWorker(connection.rows, id, leaseMs)
      worker = id
    } else if (!(await queries.renewWorker(connection.rows, worker, leaseMs))) {
      worker = undefined
      log.warn('delivery worker was taken for dead, it starts again under a new lease')
      options.onLost()
      return beat()
    }
    renewedAt = began
    await takeOver()
  }

  async function takeOver(): Promise<void> {
    const lost = await connection.transaction(async (rows) => {
      const dead = await queries.removeDeadWorkers(rows)
      // A statement of its own: it must see what those workers claimed until they were locked.
      return dead.length === 0 ? [] : queries.giveBackLeases(rows, dead)
    })
    if (lost.length === 0) return
    log.warn({ deliveries: lost.length }, 'took over the deliveries of a worker that died')
    options.onTakenOver()
    await queries
      .logLostAttempts(connection.rows, lost)
      .catch((error: unknown) => log.error({ err: error }, 'lost attempts could not be logged'))
  }

  async function beatAndPlan(): Promise<void> {
    try {
      await beat()
      if (isTroubled) log.info('delivery worker reaches the database again')
      isTroubled = false
    } catch (error) {
      if (!isTroubled) log.warn({ err: error }, 'delivery worker cannot renew its lease, it goes on trying')
      isTroubled = true
    }
    if (!isStopped) timer = setTimeout(plan, leaseMs / 5)
  }

  function plan(): void {
    beating = beatAndPlan()
  }

  return {
    get worker() {
      return performance.now() - renewedAt < leaseMs ? worker : undefined
    },
    isCurrent: (id) => id === worker,
    start: async () => {
      plan()
      await beating
    },
    stop: async () => {
      if (isStopped) return
      isStopped = true
      clearTimeout(timer)
      await beating
      try {
        if (worker !== undefined) await queries.releaseWorker(connection.rows, worker)
      } catch (error) {
        log.warn(
          { err: error },
          'delivery worker could not give back its work, others take it over when the lease ends',
        )
      }
      worker = undefined
      await connection.close()
    },
  }
}
