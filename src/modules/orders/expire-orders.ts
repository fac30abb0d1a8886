import { recordChanges } from '../../changes/index.ts'
import { toTimestamp, type Clock } from '../../platform/clock.ts'
import type { Db, Tx } from '../../platform/db/db.ts'
import { faultPoint } from '../../platform/fault.ts'
import type { Sweep } from '../../platform/sweep.ts'
import { describeOffers, returnStock, type StockLine } from '../catalog/index.ts'
import { changesOf } from './order-changes.ts'
import { listDueOrders, listDueOrdersOf, listOrders, lockDueOrders, saveState } from './order-queries.ts'
import { ShortOfUnitsError } from './place-order.ts'

/** Orders expired per transaction. */
const BATCH = 100
/** After so many rounds in which units were freed and others were quicker, the shortage is told. */
const MAX_ROUNDS = 10

interface Deps {
  db: Db
  clock: Clock
}

/** Ends the orders whose time to confirm has passed and gives their units back. */
export function expireOrdersSweep({ db, clock }: Deps): Sweep {
  return {
    name: 'orders.expire-orders',
    everySeconds: 1,
    run: async () => {
      let found = BATCH
      while (found === BATCH) {
        const now = clock.now()
        const due = await listDueOrders(db, toTimestamp(now), BATCH)
        found = due.length
        // Those that somebody else is working on are that one's; the next round looks at them again.
        const ended = await db.transaction((tx) => expireDueOrders(tx, due, now, { passOver: true }))
        if (ended === 0) return
      }
    },
  }
}

/**
 * Runs the transaction; when it fails for want of units, expires the due orders of those variants in a transaction of their own and runs it
 * once more if that freed any. So no order past its time keeps a unit from a buyer, also while no worker runs.
 */
export async function withDueOrdersExpired<T>(deps: Deps, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await deps.db.transaction(work)
    } catch (error) {
      if (!(error instanceof ShortOfUnitsError) || round === MAX_ROUNDS) throw error
      if (!(await freeUnits(deps, error.short))) throw error
    }
  }
}

/** Whether another try may find the units: due orders gave some back, or somebody else has given back enough in the meantime. */
async function freeUnits({ db, clock }: Deps, short: readonly StockLine[]): Promise<boolean> {
  const now = clock.now()
  const due = await listDueOrdersOf(db, short, toTimestamp(now), BATCH)
  if (due.length === 0) return areFree(db, short)
  // Waits for those that others are just expiring: their units count, too.
  await db.transaction((tx) => expireDueOrders(tx, due, now, { passOver: false }))
  return true
}

async function areFree(db: Db, wanted: readonly StockLine[]): Promise<boolean> {
  const offers = await describeOffers(db, wanted)
  return offers.every(({ available }, place) => available >= wanted[place]!.quantity)
}

/** Ends those of the orders that are still due; returns how many it ended. */
async function expireDueOrders(
  tx: Tx,
  ids: readonly string[],
  now: Date,
  options: { passOver: boolean },
): Promise<number> {
  if (ids.length === 0) return 0
  const locked = await lockDueOrders(tx, ids, toTimestamp(now), options)
  await expireLocked(tx, locked)
  return locked.length
}

/** Ends orders that are locked and past their time. */
export async function expireLocked(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await saveState(tx, ids, { from: 'PENDING_CONFIRMATION', to: 'NOT_CONFIRMED', updated: null })
  const expired = await listOrders(tx, ids)
  const lines = expired.flatMap((order) => order.lines)
  await returnStock(tx, lines)
  await recordChanges(
    tx,
    expired.flatMap((order) => changesOf('expired', order, { actor: null })),
  )
  tx.afterCommit(() => faultPoint('order-expired-after-commit'))
  faultPoint('order-expired-before-commit')
}
