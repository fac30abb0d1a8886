import type { Agent } from 'node:http'

import { closedLoop, exchange, preparedLoop, type LoadTarget } from '../support/load.ts'
import { ratioOf, type Measurement, type Sizes } from '../support/scenario.ts'
import { median, type Latency } from '../support/stats.ts'
import type { SampleUser } from '../support/store-users.ts'

export interface Variant {
  id: string
  variant: string
}

export interface Shop {
  url: string
  bareUrl: string
  buyers: readonly SampleUser[]
  /** With units for as many orders as a run places. */
  variants: readonly Variant[]
}

const ORDER_CONNECTIONS = 16
/** Where each request is preceded by another that prepares it. */
const PREPARED_CONNECTIONS = 4
const FULL_BAG = 100

/** Orders, confirmations and bags, each beside the bare transaction. */
export async function measureWrites(shop: Shop, sizes: Sizes): Promise<Measurement[]> {
  const twoLines = (n: number): Variant[] => variantsFrom(shop, 2 * n, 2)
  const hotLines = (): Variant[] => variantsFrom(shop, 0, 2)
  const short = sizes.seconds / 2
  return [
    await orders(shop, { what: 'order of two lines', lines: twoLines, goal: 0.7 }, sizes),
    await orders(shop, { what: 'orders of the same two lines', lines: hotLines }, { ...sizes, rounds: 1 }),
    await checkout(shop, sizes.seconds),
    await scatteredOrders(shop, short),
    await confirm(shop, sizes.seconds),
    ...(await addToBag(shop, short)),
  ]
}

async function orders(
  shop: Shop,
  { what, lines, goal }: { what: string; lines: (n: number) => Variant[]; goal?: number },
  { seconds, rounds }: Sizes,
): Promise<Measurement> {
  const ours: number[] = []
  const bare: number[] = []
  const p95s: string[] = []
  // Both compile what runs often while they run, and the longer ours is the more it gains by that.
  await closedLoop(orderTarget(shop, lines), ORDER_CONNECTIONS, seconds / 2)
  await closedLoop(bareOrderTarget(shop, lines), ORDER_CONNECTIONS, seconds / 2)
  for (let round = 0; round < rounds; round++) {
    const measured = await closedLoop(orderTarget(shop, lines), ORDER_CONNECTIONS, seconds)
    const theirs = await closedLoop(bareOrderTarget(shop, lines), ORDER_CONNECTIONS, seconds)
    if (measured.failures + theirs.failures > 0)
      throw new Error(`${what}: ${measured.failures} of ours and ${theirs.failures} bare failed`)
    ours.push(measured.perSecond)
    bare.push(theirs.perSecond)
    p95s.push(`${measured.latency.p95.toFixed(1)} / ${theirs.latency.p95.toFixed(1)}`)
  }
  const line = ratioOf(`${what}, ${ORDER_CONNECTIONS} connections`, 'orders/s', median(ours), median(bare), goal)
  return { ...line, note: `p95 ${p95s[0]!} ms` }
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
  const turn = counter()
  const prepared = async (connection: number, agent: Agent): Promise<Variant> => {
    const [added, ...others] = variantsFrom(shop, turn() * (lines + 1), lines + 1)
    await fillBag(shop, connection, others, agent)
    return added!
  }
  const ours = await preparedLoop(
    async (connection, agent) => {
      const { id, variant } = await prepared(connection, agent)
      const body = JSON.stringify({ product_id: id, variant, quantity: 1 })
      return { ...buyerTarget(shop, connection), url: `${shop.url}/api/bag/items/`, method: 'POST', body: () => body }
    },
    PREPARED_CONNECTIONS,
    seconds,
  )
  const bare = await preparedLoop(
    async (connection, agent) => {
      const { id, variant } = await prepared(connection, agent)
      const body = JSON.stringify({ customer: shop.buyers[connection]!.id, id, variant, quantity: 1 })
      return { url: `${shop.bareUrl}/bag-items`, method: 'POST', body: () => body }
    },
    PREPARED_CONNECTIONS,
    seconds,
  )
  return { ours, bare }
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

/** `count` different variants, the next ones of the sample for each `start`. */
function variantsFrom({ variants }: Shop, start: number, count: number): Variant[] {
  return Array.from({ length: count }, (_, n) => variants[(start + n) % variants.length]!)
}

function buyerTarget({ url, buyers }: Shop, n: number): LoadTarget & { headers: Record<string, string> } {
  const { headers } = buyers[n % buyers.length]!
  return { url, headers: { ...headers, 'content-type': 'application/json' } }
}

function orderTarget(shop: Shop, lines: (n: number) => Variant[]): LoadTarget {
  return {
    url: `${shop.url}/api/orders/`,
    method: 'POST',
    headers: (n) => buyerTarget(shop, n).headers,
    body: (n) => JSON.stringify({ products: oneEach(lines(n)) }),
  }
}

function bareOrderTarget({ bareUrl, buyers }: Shop, lines: (n: number) => Variant[]): LoadTarget {
  const body = (n: number): string =>
    JSON.stringify({ customer: buyers[n % buyers.length]!.id, products: oneEach(lines(n)) })
  return { url: `${bareUrl}/orders`, method: 'POST', body }
}

function oneEach(variants: readonly Variant[]): (Variant & { quantity: number })[] {
  return variants.map((variant) => ({ ...variant, quantity: 1 }))
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
