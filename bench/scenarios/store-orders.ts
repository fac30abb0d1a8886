import { closedLoop, type LoadTarget } from '../support/load.ts'
import { startScript } from '../support/processes.ts'
import { ratioOf, type Measurement, type Sizes } from '../support/scenario.ts'
import { median } from '../support/stats.ts'
import {
  bareOrderTarget,
  buyerTarget,
  orderTarget,
  variantsFrom,
  type Shop,
  type Variant,
} from '../support/store-shop.ts'
import { recordStatements, writeStatements, type Workbench } from '../support/workbench.ts'

export interface Writes {
  bench: Workbench
  databaseUrl: string
  shop: Shop
  sizes: Sizes
}

const ORDER_CONNECTIONS = 16
/** Of these the bare reference is told what they sent. */
const RECORDED_ORDERS = 1_000

/** Rates of orders: beside their own statements sent by hand, and beside the least that keeps an order. */
export async function measureOrders(given: Writes): Promise<Measurement[]> {
  // The machine's speed varies within seconds: shorter turns, and more of them, meet the same of it on both sides.
  const sizes = { ...given.sizes, seconds: given.sizes.seconds / 2, rounds: given.sizes.rounds * 2 }
  const writes = { ...given, sizes }
  const { shop } = writes
  const twoLines = (n: number): Variant[] => variantsFrom(shop, 2 * n, 2)
  const hotLines = (): Variant[] => variantsFrom(shop, 0, 2)
  return [
    await besideItsStatements(writes, twoLines),
    await besideTheLeast(shop, 'order of two lines beside the least that keeps one', twoLines, sizes),
    await besideTheLeast(shop, 'orders of the same two lines', hotLines, { ...sizes, rounds: 1 }),
  ]
}

async function besideItsStatements(
  { bench, databaseUrl, shop, sizes }: Writes,
  lines: (n: number) => Variant[],
): Promise<Measurement> {
  const target = orderTarget(shop, lines)
  const count = sizes.isSmoke ? 10 : RECORDED_ORDERS
  const since = Date.now()
  const requests = Array.from({ length: count }, (_, n) => ({
    method: 'POST' as const,
    url: '/api/orders/',
    headers: buyerTarget(shop, n).headers,
    payload: target.body!(n),
  }))
  const lists = await recordStatements(databaseUrl, bench.folder, requests)
  const file = await writeStatements(bench, { since, lists })
  const bare = await startScript('bench/bare/transaction.ts', [databaseUrl, file])
  try {
    const what = `order of two lines (${lists[0]!.length} statements and a transaction)`
    // Both compile what runs often while they run: after 2 seconds ours still took a fifth more processor time for an order than after 10.
    return await inTurn(what, target, { ...target, url: bare.url }, { ...sizes, warmUp: 4, goal: 0.7 })
  } finally {
    await bare.stop()
  }
}

function besideTheLeast(shop: Shop, what: string, lines: (n: number) => Variant[], sizes: Sizes): Promise<Measurement> {
  return inTurn(what, orderTarget(shop, lines), bareOrderTarget(shop, lines), { ...sizes, warmUp: 1 })
}

interface Turns extends Pick<Sizes, 'seconds' | 'rounds'> {
  /** How long before the first round, as a share of its time. */
  warmUp: number
  goal?: number
}

async function inTurn(
  what: string,
  oursTarget: LoadTarget,
  bareTarget: LoadTarget,
  { seconds, rounds, warmUp, goal }: Turns,
): Promise<Measurement> {
  const ours: number[] = []
  const bare: number[] = []
  const p95s: string[] = []
  await closedLoop(oursTarget, ORDER_CONNECTIONS, seconds * warmUp)
  await closedLoop(bareTarget, ORDER_CONNECTIONS, seconds * warmUp)
  for (let round = 0; round < rounds; round++) {
    const measured = await closedLoop(oursTarget, ORDER_CONNECTIONS, seconds)
    const theirs = await closedLoop(bareTarget, ORDER_CONNECTIONS, seconds)
    if (measured.failures + theirs.failures > 0)
      throw new Error(`${what}: ${measured.failures} of ours and ${theirs.failures} bare failed`)
    ours.push(measured.perSecond)
    bare.push(theirs.perSecond)
    p95s.push(`${measured.latency.p95.toFixed(1)} / ${theirs.latency.p95.toFixed(1)}`)
  }
  const line = ratioOf(`${what}, ${ORDER_CONNECTIONS} connections`, 'orders/s', median(ours), median(bare), goal)
  return { ...line, note: `p95 ${p95s[0]!} ms` }
}
