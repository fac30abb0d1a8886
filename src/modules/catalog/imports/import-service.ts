import { randomUUID } from 'node:crypto'

import { toTimestamp } from '../../../platform/clock.ts'
import { faultPoint } from '../../../platform/fault.ts'
import type { Service } from '../../../platform/service.ts'
import type { Context } from '../../module.ts'
import { LeaseLostError } from './import-batch.ts'
import { findImport, takeProgressTurn } from './import-queries.ts'
import { createLeaseLocks, type LeaseLocks } from './lease-locks.ts'
import { claimImport, listClaimable, releaseLease, renewLease, type Claim } from './lease-queries.ts'
import { finishImport, runImport, StoppedError, type ImportRunner, type RunState } from './run-import.ts'
import type { Spool } from './spool.ts'
import { importProgressed, recordImport } from './topics.ts'

/** How often a worker looks for imports; one short query. */
const POLL_MS = 200
/** How often it speaks up for one it works on. */
const PULSE_MS = 1_000
/** Imports worked on at once in one process: they share its event loop with the requests. */
const MAX_PARALLEL = 2
/** Claims without a checkpoint in between after which an import is given up: it seems to kill whoever works on it. */
const MAX_ATTEMPTS = 5
const RETRY_SECONDS = 5
/** How long `stop` waits for the batches in hand. */
const STOP_WAIT_MS = 3_000

interface Running extends RunState {
  isStopped: boolean
  isCancelled: boolean
}

export type ImportContext = Pick<Context, 'db' | 'clock' | 'log'>

interface WorkContext extends ImportContext {
  locks: LeaseLocks
}

interface ImportServiceOptions {
  /** Called after a look that found nothing to do while nothing was being done. */
  onIdle?: () => void
  /** Called when an import is begun or ends. */
  onBusy?: () => void
}

/** Works on queued imports, and on those whose worker has died, for as long as the process lives. */
export function importService(context: ImportContext, spool: Spool, options: ImportServiceOptions = {}): Service {
  const { db, clock, log } = context
  const runner: ImportRunner = { db, clock, spool }
  const locks = createLeaseLocks(db)
  /** Imports that are being claimed or worked on here; they are never taken over from ourselves. */
  const inHand = new Set<string>()
  const running = new Map<Promise<void>, Running>()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  async function look(): Promise<void> {
    if (isStopped || running.size >= MAX_PARALLEL) return
    const claim = await nextClaim(runner, locks, inHand)
    if (claim === undefined) return running.size === 0 ? options.onIdle?.() : undefined
    faultPoint('import-after-claim')
    start(claim)
    await look()
  }

  function start(claim: Claim): void {
    const state: Running = { isStopped, isCancelled: false, bytesChecked: 0 }
    options.onBusy?.()
    const done = carryOut({ ...context, locks }, runner, claim, state).finally(() => {
      running.delete(done)
      inHand.delete(claim.job.id)
      options.onBusy?.()
      schedule(0)
    })
    running.set(done, state)
  }

  function schedule(ms: number): void {
    clearTimeout(timer)
    if (isStopped) return
    timer = setTimeout(() => {
      look()
        .catch((error: unknown) => log.warn({ err: error }, 'could not look for imports, will look again'))
        .finally(() => schedule(POLL_MS))
    }, ms)
  }

  return {
    name: 'catalog.run-imports',
    start: async () => schedule(0),
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      for (const state of running.values()) state.isStopped = true
      const patience = new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS).unref())
      await Promise.race([Promise.all(running.keys()), patience])
      await locks.close()
    },
  }
}

/** Candidates looked at in one go; more only matter when many belong to workers elsewhere. */
const CANDIDATES = 50

/** The oldest import whose file is here. One whose file is not may belong to a worker with another data folder. */
async function nextClaim(runner: ImportRunner, locks: LeaseLocks, inHand: Set<string>): Promise<Claim | undefined> {
  for (const id of await listClaimable(runner.db, CANDIDATES)) {
    if (inHand.has(id) || !(await runner.spool.has(id))) continue
    inHand.add(id)
    const claim = await tryClaim(runner, locks, id).catch((error: unknown) => {
      inHand.delete(id)
      throw error
    })
    if (claim !== undefined) return claim
    inHand.delete(id)
  }
  return undefined
}

async function tryClaim({ db, clock }: ImportRunner, locks: LeaseLocks, id: string): Promise<Claim | undefined> {
  // Held before the claim is visible: a claim without its lock is that of a process that has ended.
  const isHolderGone = await locks.hold(id)
  const now = toTimestamp(clock.now())
  const claim = await db.transaction((tx) => claimImport(tx, id, randomUUID(), now, isHolderGone))
  if (claim === undefined) await locks.release(id)
  return claim
}

async function carryOut(context: WorkContext, runner: ImportRunner, claim: Claim, state: Running): Promise<void> {
  const log = context.log.child({ importId: claim.job.id })
  const pulse = keepPulse(context, claim, state)
  try {
    if (claim.attempts > MAX_ATTEMPTS) {
      const error = `given up after ${MAX_ATTEMPTS} attempts that came to nothing`
      await finishImport(runner, claim, { state: 'failed', error })
    } else await runImport(runner, claim, state)
    log.info('import ended')
  } catch (error) {
    if (error instanceof LeaseLostError) return
    const isStop = error instanceof StoppedError
    if (!isStop) log.error({ err: error }, 'an import was interrupted and will be tried again')
    // Without the database the lease runs out by itself.
    await releaseLease(context.db, claim, isStop ? 0 : RETRY_SECONDS).catch(() => undefined)
  } finally {
    pulse.stop()
    // Without the connection the lock is gone anyway.
    await context.locks.release(claim.job.id).catch(() => undefined)
  }
}

/** Renews the lease and its lock, carries the wish to cancel to the runner and tells how far the check has come. */
function keepPulse({ db, log, locks }: WorkContext, claim: Claim, state: Running): { stop(): void } {
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  async function beat(): Promise<void> {
    await locks.hold(claim.job.id)
    const answer = await db.transaction(async (tx) => {
      const renewed = await renewLease(tx, claim, state.bytesChecked)
      if (renewed === undefined || claim.job.isChecked) return renewed
      if (await takeProgressTurn(tx, claim.job.id)) {
        const job = await findImport(tx, claim.job.id)
        await recordImport(tx, importProgressed, job!)
      }
      return renewed
    })
    if (answer?.state === 'cancelling') state.isCancelled = true
    // Lost, or ended a moment ago: in both cases nothing is left to do here.
    if (answer === undefined) state.isStopped = true
  }

  function next(): void {
    if (isOver) return
    timer = setTimeout(() => {
      beat()
        .catch((error: unknown) => log.warn({ err: error }, 'could not renew the lease of an import'))
        .finally(next)
    }, PULSE_MS)
  }

  next()
  return {
    stop: () => {
      isOver = true
      clearTimeout(timer)
    },
  }
}
