import { setTimeout as wait } from 'node:timers/promises'

import { onServer } from '../../bench/support/workbench.ts'
import type { Buyer } from '../races/buyers.ts'
import type { Role } from './engine-process.ts'
import { startFleetUnderFire, type FleetUnderFire } from './fleet-under-fire.ts'
import { until } from './journey.ts'
import { LiveClient } from './live-client.ts'
import { PagingClient } from './paging-client.ts'
import { pointsOf } from './points.ts'
import { someOrders, storeJourney, type Follower, type Opening, type StoreOutcome } from './store-journey.ts'
import { count, readerProblems } from './verify.ts'

/** How the processes share the work of one Souk. */
export const companies = [
  ['api', 'api', 'worker'],
  ['serve', 'serve'],
] as const satisfies readonly (readonly Role[])[]

/** Ends of processes before the shop closes, by kill -9 from outside and at points together. */
const DEATHS = 8
/** Of them from outside at least. */
const KILLS = 3
const MAX_PAUSE_MS = 1_000
/** A point that is not reached by then is left to another run. */
const WORK_LIMIT_MS = 12_000
const FAULT_SHARE = 0.75
/** Each process does a part of the work only, and lives for seconds. */
const MOST_PASSES = 3
const CUT_EVERY_MS = 700
/** Connections of a process to the database; several of them share what a small server gives. */
const POOL_SIZE = '5'

export interface TogetherOutcome extends StoreOutcome {
  /** Deliveries and payments that a process left behind in its hands and another one finished. */
  takenOver: number
}

/** Deals the points of each role in turn, over all runs, so that each of them comes up equally often. */
export function createDealer(): (role: Role) => string {
  const decks = new Map<Role, { name: string; passes: number }[]>()
  return (role) => {
    const points = pointsOf(role)
    const deck = decks.get(role)?.length ? decks.get(role)! : shuffled(points)
    const point = deck.pop()!
    decks.set(role, deck)
    return `${point.name}:${1 + Math.floor(Math.random() * Math.min(point.passes, MOST_PASSES))}`
  }
}

/**
 * Customers shop and readers follow the log at several processes on one database, while now one and now another of them is killed, at a
 * point of its work or from outside. The last one that is killed stays down until the others have brought everything to rest.
 */
export async function runTogether(
  folder: string,
  databaseUrl: string,
  roles: readonly Role[],
  deal: (role: Role) => string,
): Promise<TogetherOutcome> {
  let isOpen = true
  // Some starts go without: the process lives until it is killed from outside.
  const nextFault = (role: Role): string | undefined => (isOpen && Math.random() < FAULT_SHARE ? deal(role) : undefined)
  let takenOver = 0
  const outcome = await storeJourney({
    folder,
    databaseUrl,
    start: (env) =>
      startFleetUnderFire({ folder, databaseUrl, roles, nextFault, env: { ...env, DATABASE_POOL_SIZE: POOL_SIZE } }),
    duringWork: async (fleet, opening) => {
      await killInTurn(fleet, opening)
      isOpen = false
      // Any of two that do everything can be spared; of those that share the work each is needed.
      if (roles.every((role) => role === 'serve')) fleet.killForGood()
    },
    follow: (fleet, staff) => follow(fleet, staff, databaseUrl),
    atRest: async (fleet) => {
      takenOver = await count(databaseUrl, TAKEN_OVER)
      await fleet.reviveAll()
      await until('what dead processes held is free', async () => (await count(databaseUrl, HELD_BY_DEAD)) === 0, fleet)
    },
  })
  return { ...outcome, takenOver }
}

/** A refund is an attempt of its own. */
const TAKEN_OVER = `SELECT (SELECT count(*) FROM delivery_attempts WHERE result = 'lost') +
  (SELECT count(*) FROM payments WHERE attempts > 1 AND status <> 'refunded') AS count`
const HELD_BY_DEAD = `SELECT count(*) FROM delivery_workers WHERE alive_until < clock_timestamp()`

async function killInTurn(fleet: FleetUnderFire, opening: Opening): Promise<void> {
  const limit = Date.now() + WORK_LIMIT_MS
  for (let kills = 0; opening.isOpen() && (kills < KILLS || fleet.deaths < DEATHS) && Date.now() < limit; kills++) {
    await someOrders(opening)
    await wait(Math.random() * MAX_PAUSE_MS)
    fleet.killOne()
  }
}

/** A socket that is cut now and then and comes back to whatever process there is, and a reader of pages that asks now one and now another. */
async function follow(fleet: FleetUnderFire, staff: Buyer, databaseUrl: string): Promise<Follower> {
  const address = (): string => fleet.url
  const socket = new LiveClient(address, staff.headers.authorization.replace('Token ', ''))
  const pages = new PagingClient(address, staff.headers)
  const cutting = setInterval(() => socket.cut(), CUT_EVERY_MS)
  await until('both readers have begun', async () => socket.position >= 0 && pages.position >= 0, fleet)
  return {
    problems: async () => {
      const head = await count(databaseUrl, 'SELECT max(position) AS count FROM changes')
      const hasHeard = async (): Promise<boolean> => socket.position >= head && pages.position >= head
      await until(`both readers have heard of position ${head}`, hasHeard, fleet)
      const found = await Promise.all([
        readerProblems(databaseUrl, 'the socket', socket),
        readerProblems(databaseUrl, 'the reader of pages', pages),
        inventedProblems(databaseUrl),
      ])
      return [...found.flat(), ...pages.problems]
    },
    close: async () => {
      clearInterval(cutting)
      socket.close()
      await pages.close()
    },
  }
}

/** The log tells of no order that is not there. */
async function inventedProblems(databaseUrl: string): Promise<string[]> {
  const rows = await onServer<{ key: string }>(
    databaseUrl,
    `SELECT DISTINCT key FROM changes c WHERE key LIKE 'order:%'
        AND NOT EXISTS (SELECT FROM orders o WHERE c.key = 'order:' || o.id)`,
  )
  return rows.map(({ key }) => `the log tells of ${key}, which does not exist`)
}

function shuffled<T>(list: readonly T[]): T[] {
  const places = list.map((item) => ({ item, place: Math.random() }))
  return places.toSorted((a, b) => a.place - b.place).map(({ item }) => item)
}
