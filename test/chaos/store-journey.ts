import { setTimeout as wait } from 'node:timers/promises'

import { makeBuyers, type Buyer } from '../races/buyers.ts'
import type { PutIn } from '../races/stock-invariant.ts'
import { until, type Outcome } from './journey.ts'
import { startMailReceiver } from './mail-receiver.ts'
import type { FaultPoint } from './points.ts'
import { startRedis } from './redis-server.ts'
import { startServerUnderFire, type ServerUnderFire, type UnderFire } from './server-under-fire.ts'
import { ask, shop, type Diary, type Shop, type Shopper } from './shoppers.ts'
import { storeProblems, waitForRest } from './verify-store.ts'

/** Short, so that orders expire while others are placed. */
const WINDOW_SECONDS = 2
const SHOPPERS = 8
/** A point of a sweep waits for an order to expire and for the sweep. */
const REACH_LIMIT_MS = 20_000
/** One product that lasts and one that is soon sold out. */
const STOCK: readonly Record<string, number>[] = [
  { S: 100_000, M: 100_000 },
  { S: 20, M: 10 },
]

export interface StoreOutcome extends Outcome {
  /** Names of the points that killed. */
  reached: string[]
  /** Orders that customers were told of. */
  orders: number
}

/** Customers shop while the server kills itself at one point after the other; then everything comes to rest and is counted. */
export function runStorePoints(
  folder: string,
  databaseUrl: string,
  points: readonly FaultPoint[],
): Promise<StoreOutcome> {
  const faults = points.map(({ name, passes }) => `${name}:${1 + Math.floor(Math.random() * passes)}`)
  return storeJourney({
    folder,
    databaseUrl,
    start: (env) => startServerUnderFire({ folder, databaseUrl, faults, env }),
    duringWork: (server, { isOpen }) => untilReached(server, faults, isOpen),
  })
}

/** The same with kill -9 from outside, several times, each after a random time. */
export function runStoreKills(
  folder: string,
  databaseUrl: string,
  kills: number,
  maxMs: number,
): Promise<StoreOutcome> {
  const duringWork = async (server: ServerUnderFire, opening: Opening): Promise<void> => {
    for (let n = 0; n < kills && opening.isOpen(); n++) {
      await someOrders(opening)
      await wait(Math.random() * maxMs)
      await killAndRevive(server)
    }
  }
  const start = (env: Record<string, string>) => startServerUnderFire({ folder, databaseUrl, env })
  return storeJourney({ folder, databaseUrl, start, duringWork })
}

/** Waits until the server has died of every fault in turn; one that is not reached in time is passed over. */
async function untilReached(server: ServerUnderFire, faults: readonly string[], isOpen: () => boolean): Promise<void> {
  for (let deaths = 1; deaths <= faults.length; deaths++) {
    const limit = Date.now() + REACH_LIMIT_MS
    while (isOpen() && server.deaths < deaths && Date.now() < limit) {
      await server.revive()
      await wait(20)
    }
    if (!isOpen()) return
    if (server.deaths < deaths) await killAndRevive(server)
  }
  await server.revive()
}

async function killAndRevive(server: ServerUnderFire): Promise<void> {
  const { deaths } = server
  server.kill()
  // A process is not gone the moment it is killed.
  while (server.deaths === deaths) {
    await wait(5)
    await server.revive()
  }
}

/** The shop while its customers come. */
export interface Opening {
  readonly isOpen: () => boolean
  /** Orders that customers were told of so far. */
  readonly orders: () => number
}

/** On a busy machine a process that was just started has done nothing yet, and to kill it proves little. */
const ORDERS_BETWEEN = 5
const ORDERS_LIMIT_MS = 3_000

export async function someOrders({ isOpen, orders }: Opening): Promise<void> {
  const enough = orders() + ORDERS_BETWEEN
  const limit = Date.now() + ORDERS_LIMIT_MS
  while (isOpen() && orders() < enough && Date.now() < limit) await wait(20)
}

export interface StoreJourney<Server extends UnderFire> {
  folder: string
  databaseUrl: string
  start: (env: Record<string, string>) => Promise<Server>
  /** Ends early when the shop does. */
  duringWork: (server: Server, opening: Opening) => Promise<void>
  /** When everything has come to rest, before it is counted. */
  atRest?: (server: Server) => Promise<void>
  /** Reads along from before the first order; its problems are asked for when everything has come to rest. */
  follow?: (server: Server, staff: Buyer) => Promise<Follower>
}

export interface Follower {
  problems(): Promise<string[]>
  close(): Promise<void>
}

export async function storeJourney<Server extends UnderFire>(journey: StoreJourney<Server>): Promise<StoreOutcome> {
  const { folder, databaseUrl } = journey
  const mail = await startMailReceiver()
  const redis = await startRedis(folder)
  const [staff] = await makeBuyers(databaseUrl, 1, { areStaff: true })
  const [seller, ...customers] = await makeBuyers(databaseUrl, SHOPPERS + 1)
  const server = await journey.start({
    SMTP_URL: mail.url,
    CONFIRM_WINDOW_SECONDS: String(WINDOW_SECONDS),
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
  })
  const follower = await journey.follow?.(server, staff!)
  try {
    const { variants, putIn } = await openShop({ server, databaseUrl }, seller!)
    const diary: Diary = { placed: [], told: [], unanswered: new Map(), problems: [] }
    const place: Shop = { server, databaseUrl, staff: staff!, variants, diary }
    const shoppers = customers.map((buyer, n): Shopper => ({ ...buyer, way: n % 2 === 0 ? 'orders' : 'bag' }))
    let isOpen = true
    const shopping = shoppers.map((shopper) =>
      shop(place, shopper, () => isOpen).catch((error: Error) => {
        isOpen = false
        diary.problems.push(`a customer gave up: ${error.message}`)
      }),
    )
    await journey.duringWork(server, { isOpen: () => isOpen, orders: () => diary.placed.length })
    isOpen = false
    await Promise.all(shopping)
    await server.revive()
    const evidence = { databaseUrl, server, shoppers, seller: seller!, diary, putIn, redisUrl: redis?.url, mail, until }
    await waitForRest(evidence)
    await journey.atRest?.(server)
    const problems = await storeProblems(evidence)
    problems.push(...((await follower?.problems()) ?? []), ...server.strangeEnds)
    const orders = diary.placed.length
    if (orders === 0) problems.push('nobody could order anything')
    return { deaths: server.deaths, reached: server.reached.map(nameOf), orders, problems }
  } finally {
    try {
      await follower?.close()
      await server.stop()
    } finally {
      await redis?.stop()
      await mail.close()
    }
  }
}

async function openShop(
  place: Pick<Shop, 'server' | 'databaseUrl'>,
  seller: Buyer,
): Promise<Pick<Shop, 'variants'> & { putIn: PutIn }> {
  const putIn: Record<string, Record<string, number>> = {}
  for (const stock of STOCK) {
    const product = { title: 'A thing', description: 'Wanted by many.', price: 1250, stock }
    const { status, body } = await ask(place, seller, 'POST', '/api/products/', product)
    if (status !== 201) throw new Error(`a product was answered with ${status}: ${JSON.stringify(body)}`)
    putIn[(body as { id: string }).id] = stock
  }
  const variants = Object.entries(putIn).flatMap(([productId, stock]) =>
    Object.keys(stock).map((variant) => ({ productId, variant })),
  )
  return { variants, putIn }
}

function nameOf(fault: string): string {
  return fault.split(':')[0]!
}
