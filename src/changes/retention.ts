import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import { errorCode, type Db, type Tx } from '../platform/db/db.ts'
import type { Logger } from '../platform/log.ts'
import { selectHead } from './log-queries.ts'
import { deleteChangesBefore, dropPartition, findLastBefore, lockRetention, prunePasses } from './retention-queries.ts'
import { selectLowestCursor, selectPartitions, updateOldest, type Partition } from './retention-queries.ts'

export interface RetentionOptions {
  db: Db
  config: Pick<Config, 'changeRetention'>
  clock: Clock
  log: Logger
}

/** A subscriber that no process has had in its code for this long no longer holds anything back. */
export const ABANDONED_AFTER_DAYS = 7
const DAY_MS = 86_400_000
const LOCK_TIMED_OUT = '55P03'

/**
 * One run of retention: announces a new first position, within the settings and never past a subscriber, and drops what an earlier run had
 * announced. A reader that has checked the first position thus has until the next run to read on.
 */
export async function retainChanges(options: RetentionOptions): Promise<void> {
  const { db } = options
  const dropped = await db.transaction(async (tx) => {
    if (!(await lockRetention(tx))) return []
    await prunePasses(tx)
    const head = await selectHead(tx)
    const partitions = await selectPartitions(tx)
    const gone = partitions.filter((partition) => partition.end <= head.oldest)
    const kept = partitions.filter((partition) => partition.end > head.oldest)
    const oldest = await chooseOldest(tx, kept, head.position, options)
    await updateOldest(tx, oldest)
    if (kept[0] !== undefined) await thinOut(tx, kept[0], head.oldest, options)
    return gone
  })
  for (const partition of dropped) await drop(partition, options)
}

async function chooseOldest(
  tx: Tx,
  partitions: readonly Partition[],
  head: number,
  { clock, config }: RetentionOptions,
): Promise<number> {
  const expiry = new Date(clock.now().getTime() - config.changeRetention.days * DAY_MS)
  let oldest = 1
  let bytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0)
  for (const partition of partitions) {
    const isTooMuch = bytes > config.changeRetention.bytes && partition.end <= head
    const last = isTooMuch ? partition.end - 1 : await findLastBefore(tx, partition, expiry)
    if (last === undefined) break
    oldest = last + 1
    bytes -= partition.bytes
    if (oldest < partition.end) break
  }
  const seenSince = new Date(clock.now().getTime() - ABANDONED_AFTER_DAYS * DAY_MS)
  const lowest = await selectLowestCursor(tx, seenSince)
  return Math.min(oldest, (lowest ?? head) + 1)
}

/** Partitions are dropped whole; only where one takes long to fill are single rows removed, so that they do not outstay by weeks. */
async function thinOut(
  tx: Tx,
  partition: Partition,
  oldest: number,
  { clock, config }: RetentionOptions,
): Promise<void> {
  if (oldest <= partition.first) return
  const soon = new Date(clock.now().getTime() - (config.changeRetention.days - 1) * DAY_MS)
  const expiresSoon = (await findLastBefore(tx, partition, soon)) === partition.end - 1
  if (!expiresSoon) await deleteChangesBefore(tx, partition, oldest)
}

async function drop(partition: Partition, { db, log }: RetentionOptions): Promise<void> {
  try {
    await dropPartition(db, partition)
    log.info({ first: partition.first, end: partition.end }, 'old changes dropped')
  } catch (error) {
    // A long reader, a backup for one: the next run tries again.
    if (errorCode(error) !== LOCK_TIMED_OUT) throw error
  }
}
