import { toTimestamp, type Clock, type Timestamp } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import { errorCode, type Db, type Tx } from '../platform/db/db.ts'
import type { Logger } from '../platform/log.ts'
import { selectHead, type Head } from './log-queries.ts'
import { deleteChangesBefore, dropPartition, lockRetention, prunePasses } from './retention-queries.ts'
import { selectLowestCursor, selectPartitions, selectTime, updateOldest, type Partition } from './retention-queries.ts'

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
 * announced. A reader that looks at the first position after it has read thus knows whether anything can be missing. False when another
 * process was at it.
 */
export async function retainChanges(options: RetentionOptions): Promise<boolean> {
  const { db } = options
  const dropped = await db.transaction(async (tx) => {
    if (!(await lockRetention(tx))) return undefined
    await prunePasses(tx)
    const head = await selectHead(tx)
    const partitions = await selectPartitions(tx)
    const gone = partitions.filter((partition) => partition.end <= head.oldest)
    const kept = partitions.filter((partition) => partition.end > head.oldest)
    const oldest = await chooseOldest(tx, kept, head, options)
    await updateOldest(tx, oldest)
    if (kept[0] !== undefined) await thinOut(tx, kept[0], head.oldest, options)
    return gone
  })
  for (const partition of dropped ?? []) await drop(partition, options)
  return dropped !== undefined
}

async function chooseOldest(
  tx: Tx,
  partitions: readonly Partition[],
  head: Head,
  { clock, config }: RetentionOptions,
): Promise<number> {
  const expiry = toTimestamp(new Date(clock.now().getTime() - config.changeRetention.days * DAY_MS))
  let oldest = await firstSince(tx, expiry, head)
  let bytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0)
  for (const partition of partitions) {
    if (bytes <= config.changeRetention.bytes || partition.end > head.position) break
    bytes -= partition.bytes
    oldest = Math.max(oldest, partition.end)
  }
  const seenSince = new Date(clock.now().getTime() - ABANDONED_AFTER_DAYS * DAY_MS)
  const lowest = await selectLowestCursor(tx, seenSince)
  return Math.min(oldest, (lowest ?? head.position) + 1)
}

/** The first position recorded at this instant or later, by halving: positions and times rise together, but for the length of a transaction. */
async function firstSince(tx: Tx, instant: Timestamp, head: Head): Promise<number> {
  let low = head.oldest
  let high = head.position + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const time = await selectTime(tx, middle)
    if (time === undefined || time < instant) low = middle + 1
    else high = middle
  }
  return low
}

/** Partitions are dropped whole; only where one takes long to fill are single rows removed, so that they do not outstay by weeks. */
async function thinOut(
  tx: Tx,
  partition: Partition,
  oldest: number,
  { clock, config }: RetentionOptions,
): Promise<void> {
  if (oldest <= partition.first) return
  const last = await selectTime(tx, partition.end - 1)
  const expiresSoon = toTimestamp(new Date(clock.now().getTime() - (config.changeRetention.days - 1) * DAY_MS))
  if (last === undefined || last > expiresSoon) await deleteChangesBefore(tx, partition, oldest)
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
