import { randomUUID } from 'node:crypto'

import { toTimestamp } from '../../../platform/clock.ts'
import type { Sweep } from '../../../platform/sweep.ts'
import type { Context } from '../../module.ts'
import { forgetIds, listUnfinishedIds } from './import-queries.ts'
import { claimImport, listAbandoned } from './lease-queries.ts'
import { finishImport } from './run-import.ts'
import type { Spool } from './spool.ts'

/** Longer than any pause of an upload that is still arriving: the server cuts one that sends nothing much sooner. */
const FILE_AGE_MS = 60 * 60_000
const IDS_PER_STEP = 10_000
const ABANDONED_HOURS = 24

/** Removes files that no unfinished import needs: what a crash left behind, of uploads and of ended imports. */
export function removeFilesSweep({ db }: Pick<Context, 'db'>, spool: Spool, ageMs = FILE_AGE_MS): Sweep {
  return {
    name: 'catalog.remove-import-files',
    everySeconds: 600,
    run: async () => {
      const old = await spool.listOlderThan(ageMs)
      if (old.length === 0) return
      const needed = new Set(await listUnfinishedIds(db))
      for (const id of old) if (!needed.has(id)) await spool.remove(id)
    },
  }
}

/** Empties the memory of ids of imports that have ended. */
export function forgetIdsSweep({ db }: Pick<Context, 'db'>): Sweep {
  return {
    name: 'catalog.forget-import-ids',
    everySeconds: 60,
    run: async () => {
      let forgotten = IDS_PER_STEP
      while (forgotten === IDS_PER_STEP) forgotten = await db.transaction((tx) => forgetIds(tx, IDS_PER_STEP))
    },
  }
}

/** Ends imports whose file no worker has: the data folder was lost or exchanged. */
export function endAbandonedSweep({ db, clock }: Pick<Context, 'db' | 'clock'>, spool: Spool): Sweep {
  return {
    name: 'catalog.end-abandoned-imports',
    everySeconds: 600,
    run: async () => {
      for (const id of await listAbandoned(db, ABANDONED_HOURS)) {
        if (await spool.has(id)) continue
        const claim = await db.transaction((tx) => claimImport(tx, id, randomUUID(), toTimestamp(clock.now())))
        const error = 'the uploaded file is no longer there'
        if (claim !== undefined) await finishImport({ db, clock, spool }, claim, { state: 'failed', error })
      }
    },
  }
}
