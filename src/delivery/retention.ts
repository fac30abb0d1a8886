import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/db/db.ts'
import { raw, sql } from '../platform/db/sql.ts'
import type { Sweep } from '../platform/sweep.ts'

/** Days that succeeded deliveries and attempts are kept. */
const KEEP_DAYS = 30
const KEEP_FAILED_DAYS = 90
/** Partitions are made this far ahead, so that a worker that was away for a weekend finds its day. */
const AHEAD_DAYS = 7
const DAY_MS = 86_400_000
/** Of what has no partition of its own, and of failed ones, this many go per statement. */
const DELETE_CHUNK = 5_000
/** One process at a time changes partitions; the others have nothing left to do. */
const PARTITION_LOCK = 7_236_514_010

const partitioned = [
  { table: 'deliveries_succeeded', column: 'finished_at' },
  { table: 'delivery_attempts', column: 'started_at' },
] as const

type Partitioned = (typeof partitioned)[number]

/** The sweeps of finished work: partitions by day, retention, folded totals, and a look for held work that nobody releases. */
export function retentionSweeps(db: Db, clock: Clock): Sweep[] {
  return [
    { name: 'delivery.keep-partitions', everySeconds: 3_600, run: () => keepPartitions(db, clock.now()) },
    { name: 'delivery.prune-finished', everySeconds: 3_600, run: () => pruneFinished(db, clock.now()) },
    { name: 'delivery.fold-counts', everySeconds: 60, run: () => foldCounts(db) },
    { name: 'delivery.release-strays', everySeconds: 60, run: () => releaseStrays(db) },
  ]
}

/** Makes the days to come and drops the days that are over. */
export async function keepPartitions(db: Db, now: Date): Promise<void> {
  for (const part of partitioned) {
    await db.transaction(async (tx) => {
      await tx.run(sql`SELECT pg_advisory_xact_lock(${PARTITION_LOCK})`)
      const existing = new Set(await partitionsOf(tx, part))
      for (let day = -1; day <= AHEAD_DAYS; day++) {
        const from = new Date(now.getTime() + day * DAY_MS)
        if (!existing.has(partitionName(part, from))) await makePartition(tx, part, from)
      }
    })
    await dropOldPartitions(db, part, now)
  }
}

async function partitionsOf(tx: Tx, { table }: Partitioned): Promise<string[]> {
  const found = await tx.rows<{ name: string }>(sql`
    SELECT child.relname AS name FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
     WHERE inhparent = ${table}::regclass`)
  return found.map(({ name }) => name)
}

/** A day that the default partition already has rows of stays there: its rows would have to move. */
async function makePartition(tx: Tx, part: Partitioned, day: Date): Promise<void> {
  const { table, column } = part
  const from = dayOf(day)
  const to = dayOf(new Date(day.getTime() + DAY_MS))
  const taken = await tx.row(sql`
    SELECT FROM ${raw(`${table}_default`)} WHERE ${raw(column)} >= ${from}::timestamptz AND ${raw(column)} < ${to}::timestamptz LIMIT 1`)
  if (taken !== undefined) return
  const bounds = `FROM ('${from} 00:00+00') TO ('${to} 00:00+00')`
  await run(tx, `CREATE TABLE ${partitionName(part, day)} PARTITION OF ${table} FOR VALUES ${bounds}`)
}

/** Each day in a transaction of its own that waits for nobody long: a drop locks the whole table for its moment. */
async function dropOldPartitions(db: Db, part: Partitioned, now: Date): Promise<void> {
  const oldest = partitionName(part, new Date(now.getTime() - KEEP_DAYS * DAY_MS))
  await db.transaction(async (tx) => {
    await tx.run(sql`SELECT pg_advisory_xact_lock(${PARTITION_LOCK})`)
    const old = (await partitionsOf(tx, part)).filter((name) => /_\d{8}$/.test(name) && name < oldest)
    await run(tx, `SET LOCAL lock_timeout = '2s'`)
    for (const name of old) await run(tx, `DROP TABLE ${name}`)
  })
}

/** Not by `tx.run`, which would keep a prepared statement for the name of each day. */
async function run(tx: Tx, statement: string): Promise<void> {
  await tx.withClient((client) => client.query(statement))
}

function partitionName({ table }: Partitioned, day: Date): string {
  return `${table}_${dayOf(day).replaceAll('-', '')}`
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}

/** Removes what is too old and has no partition of its own, in short transactions. */
export async function pruneFinished(db: Db, now: Date): Promise<void> {
  const before = new Date(now.getTime() - KEEP_DAYS * DAY_MS)
  for (const { table, column } of partitioned) await deleteBefore(db, `${table}_default`, column, before)
  await deleteBefore(db, 'deliveries_failed', 'finished_at', new Date(now.getTime() - KEEP_FAILED_DAYS * DAY_MS))
}

async function deleteBefore(db: Db, table: string, column: string, before: Date): Promise<void> {
  let deleted: number
  do {
    deleted = await db.transaction((tx) =>
      tx.run(sql`
        DELETE FROM ${raw(table)} WHERE ctid = ANY(ARRAY(
          SELECT ctid FROM ${raw(table)} WHERE ${raw(column)} < ${before.toISOString()}::timestamptz LIMIT ${DELETE_CHUNK}))`),
    )
  } while (deleted === DELETE_CHUNK)
}

/** Adds the rows of each destination up into one; two processes at once take different rows. */
export async function foldCounts(db: Db): Promise<void> {
  await db.transaction((tx) =>
    tx.run(sql`
      WITH taken AS (
        DELETE FROM delivery_counts WHERE ctid = ANY(ARRAY(SELECT ctid FROM delivery_counts FOR UPDATE SKIP LOCKED)) RETURNING *
      )
      INSERT INTO delivery_counts (kind, destination, committed, succeeded, failed)
      SELECT kind, destination, sum(committed), sum(succeeded), sum(failed) FROM taken GROUP BY kind, destination`),
  )
}

/** Releases held deliveries that are first of their key: order was switched on in the moment in which the one before them finished. */
export async function releaseStrays(db: Db): Promise<void> {
  await db.transaction((tx) =>
    tx.run(sql`
      UPDATE deliveries SET state = 'ready'
       WHERE state = 'held' AND NOT EXISTS (
         SELECT FROM deliveries earlier
          WHERE earlier.kind = deliveries.kind AND earlier.destination = deliveries.destination
            AND earlier.order_key = deliveries.order_key AND earlier.seq < deliveries.seq)`),
  )
}
