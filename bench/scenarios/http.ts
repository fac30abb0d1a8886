import { join } from 'node:path'

import type { InjectOptions } from 'fastify'

import { writeFeedFile } from '../support/feed.ts'
import { closedLoop, type LoadTarget } from '../support/load.ts'
import { startScript } from '../support/processes.ts'
import { ratioOf, type Measurement, type Scenario, type Sizes } from '../support/scenario.ts'
import { median } from '../support/stats.ts'
import {
  importFeed,
  openWorkbench,
  recordStatements,
  signIn,
  statementsFile,
  type Workbench,
} from '../support/workbench.ts'

const CONNECTIONS = 32

/** Reading endpoints beside node:http and pg sending the same statements, at two sizes of catalogue. */
export const httpScenario: Scenario = {
  name: 'http',
  async run(sizes) {
    const bench = await openWorkbench()
    try {
      const small = await measureReads(bench, Math.min(1000, sizes.products), sizes)
      const large = await measureReads(bench, sizes.products, sizes)
      const growth = ratioOf(
        'list page, large catalogue against 1,000 products',
        'requests/s',
        large.list,
        small.list,
        1 / 1.2,
      )
      return [...large.lines, growth]
    } finally {
      await bench.close()
    }
  },
}

async function measureReads(
  bench: Workbench,
  products: number,
  sizes: Sizes,
): Promise<{ lines: Measurement[]; list: number }> {
  const databaseUrl = await bench.createDatabase()
  const server = await bench.startSouk(databaseUrl)
  try {
    const headers = await signIn(server.url)
    const feed = join(bench.folder, `feed-${products}.xml`)
    await writeFeedFile(feed, products)
    await importFeed(server.url, headers, feed)
    const at = `${products.toLocaleString('en')} products`
    const compare = (what: string, path: string, atLeast?: number): Promise<Measurement> =>
      compareWithBare({ bench, databaseUrl, url: server.url, path, headers, sizes, what, atLeast })

    const list = await compare(`list page of 20, ${at}`, '/list-products/?page_size=20', 0.8)
    const filtered = await compare(`list page filtered by brand, ${at}`, '/list-products/?page_size=20&brand=Prada')
    const detail = await compare(`product detail, ${at}`, '/product-detail/5_5/')
    const check = await compare(`token check, ${at}`, '/auth-protected-check/')
    return { lines: [list, filtered, detail, check], list: list.ours }
  } finally {
    await server.stop()
  }
}

interface Comparison {
  bench: Workbench
  databaseUrl: string
  url: string
  path: string
  headers: { authorization: string }
  sizes: Sizes
  what: string
  atLeast: number | undefined
}

/** Ours and bare in turn, so that both see the same weather; the medians are compared. */
async function compareWithBare(comparison: Comparison): Promise<Measurement> {
  const { bench, databaseUrl, url, path, headers, sizes, what } = comparison
  const request: InjectOptions = { method: 'GET', url: path, headers }
  const statements = await recordStatements(databaseUrl, bench.folder, request)
  const bare = await startScript('bench/bare/http.ts', [databaseUrl, await statementsFile(bench.folder, statements)])
  const ours: number[] = []
  const theirs: number[] = []
  try {
    for (let round = 0; round < sizes.rounds; round++) {
      ours.push(await rate({ url: `${url}${path}`, headers }, sizes))
      theirs.push(await rate({ url: bare.url }, sizes))
    }
  } finally {
    await bare.stop()
  }
  const label = `${what} (${statements.length} statements)`
  return ratioOf(label, 'requests/s', median(ours), median(theirs), comparison.atLeast)
}

async function rate(target: LoadTarget, sizes: Sizes): Promise<number> {
  const result = await closedLoop(target, CONNECTIONS, sizes.seconds)
  if (result.failures > 0) throw new Error(`${result.failures} requests to ${target.url} failed`)
  return result.perSecond
}
