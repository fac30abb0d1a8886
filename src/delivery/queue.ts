import { createHash } from 'node:crypto'

import { sql } from '../platform/db/sql.ts'
import type { Tx } from '../platform/db/db.ts'
import { newId } from '../platform/ids.ts'
import { targetKey, wakeWorkers, type Target } from './wake.ts'

export interface NewDelivery {
  kind: string
  /** Unique within the kind for ever: queueing the same key again does nothing, also after the delivery has finished. */
  key: string
  destination: string
  /** With `ordering: "strict"` at the destination, deliveries of one order key go out one after the other, in the order queued. */
  orderKey?: string
  /** Plain JSON. */
  payload: unknown
  /** Not sent after this instant. */
  expiresAt?: Date
}

/** Keeps one statement of large payloads to a few megabytes. */
const CHUNK = 1_000

/** Queues work in the caller's transaction; it goes out after commit. Returns how many were new. */
export async function queueDeliveries(tx: Tx, deliveries: readonly NewDelivery[]): Promise<number> {
  const unique = [...new Map(deliveries.map((delivery) => [hashKey(delivery), delivery] as const))]
  const targets = new Map<string, Target>()
  let queued = 0
  for (let start = 0; start < unique.length; start += CHUNK) {
    for (const row of await insertDeliveries(tx, unique.slice(start, start + CHUNK))) {
      queued += row.committed
      targets.set(targetKey(row), { kind: row.kind, destination: row.destination })
    }
  }
  if (targets.size > 0) tx.afterCommit(() => wakeWorkers([...targets.values()]))
  return queued
}

/** 128 bits as a UUID: half the space of the text and of one length. */
function hashKey(delivery: NewDelivery): string {
  return createHash('sha256').update(`${delivery.kind}\n${delivery.key}`).digest('hex').slice(0, 32)
}

type Keyed = readonly [hash: string, delivery: NewDelivery]

/** The keys are inserted in sorted order, so that two transactions with keys in common do not deadlock; the rest in the order given. */
async function insertDeliveries(tx: Tx, chunk: readonly Keyed[]): Promise<(Target & { committed: number })[]> {
  const hashes = chunk.map(([hash]) => hash)
  const items = chunk.map(([, delivery]) => delivery)
  return tx.rows(sql`
    WITH input AS (
      SELECT * FROM unnest(
        ${hashes}::uuid[], ${items.map(() => newId())}::uuid[], ${items.map((item) => item.kind)}::text[],
        ${items.map((item) => item.destination)}::text[], ${items.map((item) => item.orderKey ?? null)}::text[],
        ${items.map((item) => JSON.stringify(item.payload))}::json[],
        ${items.map((item) => item.expiresAt?.toISOString() ?? null)}::timestamptz[]
      ) WITH ORDINALITY AS input (key, id, kind, destination, order_key, payload, expires_at, position)
    ), fresh AS (
      INSERT INTO delivery_keys (key) SELECT key FROM input ORDER BY key ON CONFLICT DO NOTHING RETURNING key
    ), queued AS (
      INSERT INTO deliveries (id, kind, destination, order_key, payload, expires_at)
      SELECT id, kind, destination, order_key, payload, expires_at
        FROM input WHERE key IN (SELECT key FROM fresh) ORDER BY position
      RETURNING kind, destination
    )
    INSERT INTO delivery_counts (kind, destination, committed)
    SELECT kind, destination, count(*) FROM queued GROUP BY kind, destination
    RETURNING kind, destination, committed`)
}
