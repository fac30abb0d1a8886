import { Agent } from 'node:http'

import { closedLoop, exchange, openLoop, preparedLoop, type LoadTarget } from '../support/load.ts'
import { ratioOf, type Measurement } from '../support/scenario.ts'
import type { Latency } from '../support/stats.ts'
import {
  bareOrderTarget,
  buyerTarget,
  orderTarget,
  variantsFrom,
  type Shop,
  type Variant,
} from '../support/store-shop.ts'
import { measureOrders, type Writes } from './store-orders.ts'

/** Where each request is preceded by another that prepares it. */
const PREPARED_CONNECTIONS = 4
const FULL_BAG = 100

/** Adding to a bag, a second: a latency at a steady pace, as that of a search. */
const ADDED_PER_SECOND = 200

/** Orders, confirmations and bags, each beside the bare transaction. */
export async function measureWrites(writes: Writes): Promise<Measurement[]> {
  const { shop, sizes } = writes
  return [
    ...(await measureOrders(writes)),
    await checkout(shop, sizes.seconds),
    await scatteredOrders(shop, sizes.seconds / 2),
    await confirm(shop, sizes.seconds),
    ...(await addToBag(shop, sizes.seconds)),
  ]
}

/** From a full bag of 50 lines to the order; filling the bag is not measured. */
async function checkout(shop: Shop, seconds: number): Promise<Measurement> {
  const turn = counter()
  const ours = await preparedLoop(
    async (connection, agent) => {
      await fillBag(shop, connection, variantsFrom(shop, turn() * 50, 50), agent)
      return { ...buyerTarget(shop, connection), url: `${shop.url}/api/bag/checkout/`, method: 'POST' }
    },
    PREPARED_CONNECTIONS,
    seconds,
  )
  const bare = await preparedLoop(
    async () => bareOrderTarget(shop, () => variantsFrom(shop, turn() * 50, 50)),
    PREPARED_CONNECTIONS,
    seconds,
  )
  return timed('checkout of a bag of 50 lines, p95', ours, bare, 25)
}

/** As many sellers as lines: each of them is told. */
async function scatteredOrders(shop: Shop, seconds: number): Promise<Measurement> {
  const step = Math.max(1, Math.floor(shop.variants.length / 50))
  const lines = (n: number): Variant[] => Array.from({ length: 50 }, (_, k) => variantsFrom(shop, n + k * step, 1)[0]!)
  const ours = await closedLoop(orderTarget(shop, lines), PREPARED_CONNECTIONS, seconds)
  const bare = await closedLoop(bareOrderTarget(shop, lines), PREPARED_CONNECTIONS, seconds)
  if (ours.failures + bare.failures > 0) throw new Error('orders of 50 lines failed')
  return timed('order of 50 lines of many sellers, p95', ours.latency, bare.latency)
}

async function confirm(shop: Shop, seconds: number): Promise<Measurement> {
  const turn = counter()
  const lines = (): Variant[] => variantsFrom(shop, turn() * 2, 2)
  const payment = JSON.stringify({ payment: { method: 'card' } })
  const ours = await preparedLoop(
    async (connection, agent) => {
      const id = await answeredId(orderTarget(shop, lines), connection, agent)
      const { headers } = buyerTarget(shop, connection)
      return { url: `${shop.url}/api/orders/${id}/confirm/`, method: 'POST', headers, body: () => payment }
    },
    PREPARED_CONNECTIONS,
    seconds,
  )
  const bare = await preparedLoop(
    async (connection, agent) => {
      const body = JSON.stringify({ id: await answeredId(bareOrderTarget(shop, lines), connection, agent) })
      return { url: `${shop.bareUrl}/confirm`, method: 'POST', body: () => body }
    },
    PREPARED_CONNECTIONS,
    seconds,
  )
  return timed('confirm an order, p95', ours, bare)
}

/** One more line into a bag that is nearly empty, and the last one into a full bag. */
async function addToBag(shop: Shop, seconds: number): Promise<Measurement[]> {
  const small = await addedTo(shop, 1, seconds)
  const full = await addedTo(shop, FULL_BAG - 1, seconds)
  const growth = ratioOf(`add to a bag, line ${FULL_BAG} against line 2, p50`, 'ms', full.ours.p50, small.ours.p50)
  return [
    timed('add to a bag of 1 line, p95', small.ours, small.bare, 5),
    timed(`add to a bag of ${FULL_BAG - 1} lines, p95`, full.ours, full.bare),
    { ...growth, goal: 'at most 2 times', reached: full.ours.p50 / small.ours.p50 <= 2 },
  ]
}

async function addedTo(shop: Shop, lines: number, seconds: number): Promise<{ ours: Latency; bare: Latency }> {
  const count = Math.min(shop.buyers.length, Math.ceil(ADDED_PER_SECOND * seconds))
  const bagOf = (n: number): Variant[] => variantsFrom(shop, n * (lines + 1), lines + 1)
  const measured = async (target: LoadTarget): Promise<Latency> => {
    await fillBags(shop, count, (n) => bagOf(n).slice(1))
    const { failures, latency } = await openLoop(target, ADDED_PER_SECOND, count / ADDED_PER_SECOND)
    if (failures > 0) throw new Error(`adding to a bag of ${lines} lines failed ${failures} times`)
    return latency
  }
  const ours = await measured({
    url: `${shop.url}/api/bag/items/`,
    method: 'POST',
    headers: (n) => buyerTarget(shop, n).headers,
    body: (n) => {
      const { id, variant } = bagOf(n)[0]!
      return JSON.stringify({ product_id: id, variant, quantity: 1 })
    },
  })
  const bare = await measured({
    url: `${shop.bareUrl}/bag-items`,
    method: 'POST',
    body: (n) => JSON.stringify({ customer: shop.buyers[n]!.id, ...bagOf(n)[0], quantity: 1 }),
  })
  return { ours, bare }
}

/** Gives so many buyers a bag each; not measured. */
async function fillBags(shop: Shop, count: number, linesOf: (n: number) => Variant[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: PREPARED_CONNECTIONS })
  const turn = counter()
  const oneConnection = async (): Promise<void> => {
    for (let n = turn(); n < count; n = turn()) await fillBag(shop, n, linesOf(n), agent)
  }
  await Promise.all(Array.from({ length: PREPARED_CONNECTIONS }, oneConnection))
  agent.destroy()
}

function timed(what: string, ours: Latency, bare: Latency, limit?: number): Measurement {
  const figures = (one: Latency): string => `${one.p50.toFixed(1)} / ${one.p99.toFixed(1)}`
  const note = `p50 / p99 ${figures(ours)}, bare ${figures(bare)} ms`
  const line: Measurement = { what, ours: ours.p95, bare: bare.p95, unit: 'ms', note }
  return limit === undefined ? line : { ...line, goal: `at most ${limit} ms`, reached: ours.p95 <= limit }
}

function counter(): () => number {
  let next = 0
  return () => next++
}

async function fillBag(shop: Shop, connection: number, variants: readonly Variant[], agent: Agent): Promise<void> {
  const items = variants.map(({ id, variant }) => ({ product_id: id, variant, quantity: 1 }))
  const body = JSON.stringify({ items })
  const target = {
    ...buyerTarget(shop, connection),
    url: `${shop.url}/api/bag/`,
    method: 'PUT',
    body: () => body,
  }
  const { status, text } = await exchange(target, agent, 0)
  if (status !== 200) throw new Error(`filling a bag answered ${status}: ${text}`)
}

async function answeredId(target: LoadTarget, n: number, agent: Agent): Promise<string> {
  const { status, text } = await exchange(target, agent, n)
  if (status >= 400) throw new Error(`${target.url} answered ${status}: ${text}`)
  return (JSON.parse(text) as { id: string }).id
}
