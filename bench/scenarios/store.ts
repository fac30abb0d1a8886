import { Agent } from 'node:http'

import { send } from '../support/load.ts'
import { startScript } from '../support/processes.ts'
import { ratioOf, type Measurement, type Scenario, type Sizes } from '../support/scenario.ts'
import { seedStore } from '../support/store-seed.ts'
import type { Shop, Variant } from '../support/store-shop.ts'
import { onServer, openWorkbench, type Workbench } from '../support/workbench.ts'
import { measureReads } from './store-reads.ts'
import { measureWrites } from './store-writes.ts'

/** A list page of any catalogue may take this many times as long as one of the smallest. */
const MAX_GROWTH = 1.2
/** Units to order; more than a run orders of each. */
const VARIANTS = 20_000
const FOLLOWING_CONNECTIONS = 8
/** There are so many measurements that the usual time for each would make a smoke run long. */
const SMOKE_SECONDS = 0.1

/** Lists, search, orders and bags of a store at growing sizes of catalogue, each beside its bare limit. */
export const storeScenario: Scenario = {
  name: 'store',
  async run(given) {
    const sizes = given.isSmoke ? { ...given, seconds: SMOKE_SECONDS } : given
    const bench = await openWorkbench()
    const lines: Measurement[] = []
    const lists: Measurement[] = []
    try {
      for (const products of sizes.catalogues) {
        const measured = await measureStore(bench, products, sizes)
        lists.push(measured[0]!)
        lines.push(...measured)
      }
    } finally {
      await bench.close()
    }
    const [smallest, ...larger] = lists
    const growth = larger.map((list) =>
      ratioOf(`${list.what}, against ${smallest!.what}`, list.unit, list.ours, smallest!.ours, 1 / MAX_GROWTH),
    )
    return [...lines, ...growth]
  },
}

/** The first line is that of the list page. */
async function measureStore(bench: Workbench, products: number, sizes: Sizes): Promise<Measurement[]> {
  const databaseUrl = await bench.createDatabase()
  // Orders stay pending for as long as possible: giving back their units would disturb what is measured then.
  const server = await bench.startSouk(databaseUrl, { CONFIRM_WINDOW_SECONDS: '300' })
  const bare = await startScript('bench/bare/store.ts', [databaseUrl])
  try {
    const started = performance.now()
    const store = await seedStore(databaseUrl, products)
    const variants = await sampleVariants(databaseUrl)
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    console.log(`store: ${products.toLocaleString('en')} products seeded in ${seconds} s`)

    const follower = store.buyers.at(-1)!
    const followed = sizes.isSmoke ? store.sellers.slice(0, 50) : store.sellers
    await followAll(
      server.url,
      follower.headers,
      followed.map((seller) => seller.id),
    )

    const shop: Shop = { url: server.url, bareUrl: bare.url, buyers: store.buyers, variants }
    const at = `${products.toLocaleString('en')} products`
    const reads = await measureReads({ bench, databaseUrl, url: server.url, store, follower, products, sizes })
    const writes = await measureWrites({ bench, databaseUrl, shop, sizes })
    return [...reads, ...writes].map((line) => ({ ...line, what: `${line.what}, ${at}` }))
  } finally {
    await bare.stop()
    await server.stop()
  }
}

/** Variants with units, those of one seller in runs of ten: what people buy together comes from few sellers. */
function sampleVariants(databaseUrl: string): Promise<Variant[]> {
  return onServer<Variant>(
    databaseUrl,
    `SELECT id, variant FROM (
       SELECT s.product_id AS id, s.variant, p.owner_id,
         (row_number() OVER (PARTITION BY p.owner_id ORDER BY md5(s.product_id || s.variant)) - 1) / 10 AS run
       FROM stock_levels s JOIN products p ON p.id = s.product_id WHERE s.quantity > 0
     ) v ORDER BY md5(owner_id || '/' || run), id LIMIT $1`,
    [VARIANTS],
  )
}

async function followAll(url: string, headers: Record<string, string>, ids: readonly string[]): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: FOLLOWING_CONNECTIONS })
  const target = { url, method: 'POST', headers, path: (n: number) => `/api/users/${ids[n]}/follow/` }
  const answers = await Promise.all(ids.map((_, n) => send(target, agent, n)))
  agent.destroy()
  if (answers.some((status) => status >= 400)) throw new Error('following failed')
}
