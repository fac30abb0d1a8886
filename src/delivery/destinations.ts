import { sql } from '../platform/db/sql.ts'
import type { Tx } from '../platform/db/db.ts'
import { wakeWorkers, type Target } from './wake.ts'

/** What is left out stays as it is. */
export interface DestinationSettings {
  /** `strict`: deliveries of one order key go out one after the other, and one that fails holds those behind it until it is finished. */
  ordering?: 'none' | 'strict'
  /** Attempts at once in one worker process. */
  slots?: number
}

/** Settings that differ from the defaults of the destination's kind. */
export async function configureDestination(tx: Tx, target: Target, settings: DestinationSettings): Promise<void> {
  await tx.run(sql`
    INSERT INTO delivery_destinations AS known (kind, destination, ordering, slots)
    VALUES (${target.kind}, ${target.destination}, ${settings.ordering ?? 'none'}, ${settings.slots ?? null})
    ON CONFLICT (kind, destination) DO UPDATE
       SET ordering = coalesce(${settings.ordering ?? null}, known.ordering), slots = coalesce(excluded.slots, known.slots)`)
  if (settings.ordering === 'none') await releaseAll(tx, target)
  tx.afterCommit(() => wakeWorkers([target]))
}

/** Nothing more goes to the destination; what waits for it, and what is queued from now on, is parked. */
export async function disableDestination(tx: Tx, target: Target, reason: string): Promise<void> {
  await tx.run(sql`
    INSERT INTO delivery_destinations (kind, destination, is_enabled, disabled_reason)
    VALUES (${target.kind}, ${target.destination}, false, ${reason})
    ON CONFLICT (kind, destination) DO UPDATE SET is_enabled = false, disabled_reason = excluded.disabled_reason`)
}

/** Lets everything parked for the destination go; also ends a pause. */
export async function enableDestination(tx: Tx, target: Target): Promise<void> {
  await tx.run(sql`
    UPDATE delivery_destinations SET is_enabled = true, disabled_reason = NULL, paused_until = NULL
     WHERE kind = ${target.kind} AND destination = ${target.destination}`)
  tx.afterCommit(() => wakeWorkers([target]))
}

async function releaseAll(tx: Tx, target: Target): Promise<void> {
  await tx.run(sql`
    UPDATE deliveries SET state = 'ready'
     WHERE state = 'held' AND order_key IS NOT NULL AND kind = ${target.kind} AND destination = ${target.destination}`)
}
