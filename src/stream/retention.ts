import { toTimestamp, type Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db/db.ts'
import type { Sweep } from '../platform/sweep.ts'
import { deleteRowChanges, lockRetention, placeRowChanges, pruneProgress } from './row-change-queries.ts'
import { selectCursor, selectFloors, type Floor } from './row-change-queries.ts'

export interface RetentionOptions {
  db: Db
  config: Pick<Config, 'redisUrl' | 'changeStream' | 'changeRetention'>
  clock: Clock
}

const EVERY_SECONDS = 60
const DAY_MS = 86_400_000
const BATCH = 5_000
/** Looking for what can go reads every position that is kept: worth it once this part of it is new, or after this time. */
const NEW_PART = 0.1
const LOOK_MS = 3_600_000

/**
 * Keeps as many row changes of each table as its stream in Redis does, so that a wiped Redis can have them again, and none that is older
 * than the change log. What is not published yet stays, unless the stream has been switched off.
 */
export function retentionSweep(options: RetentionOptions): Sweep {
  let lookedAt = { position: -1, time: 0 }
  return {
    name: 'stream.drop-row-changes',
    everySeconds: EVERY_SECONDS,
    run: async () => {
      const { db, config } = options
      const head = await placeRowChanges(db)
      const upTo = config.redisUrl === undefined ? head : await selectCursor(db)
      const now = performance.now()
      const hasGrown = Math.abs(upTo - lookedAt.position) >= config.changeStream.maxLength * NEW_PART
      if (lookedAt.position >= 0 && !hasGrown && now - lookedAt.time < LOOK_MS) return
      lookedAt = { position: upTo, time: now }
      await retainRowChanges(options, upTo)
    },
  }
}

/** Removes what need not be kept of the row changes up to a position, in batches. */
export async function retainRowChanges({ db, config, clock }: RetentionOptions, upTo: number): Promise<void> {
  const kept = config.redisUrl === undefined ? Number.MAX_SAFE_INTEGER : config.changeStream.maxLength
  const expiry = toTimestamp(new Date(clock.now().getTime() - config.changeRetention.days * DAY_MS))
  const floors = await selectFloors(db, upTo, kept, expiry)
  for (let last: number | undefined = 0; last !== undefined && floors.length > 0;) {
    last = await removeBatch(db, last, floors)
  }
  await db.transaction((tx) => pruneProgress(tx))
}

function removeBatch(db: Db, after: number, floors: readonly Floor[]): Promise<number | undefined> {
  return db.transaction(async (tx) => {
    if (!(await lockRetention(tx))) return undefined
    return deleteRowChanges(tx, after, floors, BATCH)
  })
}
