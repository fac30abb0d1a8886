import type { Context } from '../module.ts'
import type { Sweep } from '../../platform/sweep.ts'
import type { Db, Tx } from '../../platform/db/db.ts'
import { deleteEndedSignIns, deleteExpiredCredentials } from './sign-in-queries.ts'
import { deleteFailuresBefore } from './sign-in-failure-queries.ts'
import { FAILURE_WINDOW_MS } from './sign-in-failures.ts'

/** Rows per transaction: short enough that a sign-in never waits for the clean-up. */
const BATCH = 1_000
/** Failures count for 5 minutes, so their counters go soon after. */
const FAILURES_EVERY_SECONDS = 60

/** Deletes what can never be valid again; what is valid is never touched. Safe to run in several processes at once. */
export function tokenCleanUp({ db, config, clock, log }: Context): Sweep {
  return {
    name: 'identity.delete-expired-credentials',
    everySeconds: config.identity.tokenCleanupIntervalSeconds,
    run: async () => {
      const now = clock.now()
      const signIns = await inBatches(db, (tx) => deleteEndedSignIns(tx, now, BATCH))
      const credentials = await inBatches(db, (tx) => deleteExpiredCredentials(tx, now, BATCH))
      log.info({ credentials, signIns }, 'expired credentials and ended sign-ins deleted')
    },
  }
}

/** Deletes the counters of failed sign-ins that no longer count. */
export function failureCleanUp({ db, clock, log }: Context): Sweep {
  return {
    name: 'identity.delete-old-failures',
    everySeconds: FAILURES_EVERY_SECONDS,
    run: async () => {
      const windowStart = new Date(clock.now().getTime() - FAILURE_WINDOW_MS)
      const counters = await inBatches(db, (tx) => deleteFailuresBefore(tx, windowStart, BATCH))
      if (counters > 0) log.debug({ counters }, 'old sign-in failures deleted')
    },
  }
}

async function inBatches(db: Db, deleteBatch: (tx: Tx) => Promise<number>): Promise<number> {
  let total = 0
  for (;;) {
    const deleted = await db.transaction(deleteBatch)
    total += deleted
    if (deleted < BATCH) return total
  }
}
