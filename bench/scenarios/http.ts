import { join } from 'node:path'

import { besideBare, type Endpoint } from '../support/beside-bare.ts'
import { writeFeedFile } from '../support/feed.ts'
import { ratioOf, type Measurement, type Scenario, type Sizes } from '../support/scenario.ts'
import { importFeed, openWorkbench, signIn, type Workbench } from '../support/workbench.ts'

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
    const endpoint = (what: string, path: string, atLeast?: number): Endpoint => {
      const plain = { what: `${what}, ${at}`, paths: [path], headers }
      return atLeast === undefined ? plain : { ...plain, atLeast }
    }
    const endpoints = [
      endpoint('list page of 20', '/list-products/?page_size=20', 0.8),
      endpoint('list page filtered by brand', '/list-products/?page_size=20&brand=Prada'),
      endpoint('product detail', '/product-detail/5_5/'),
      endpoint('token check', '/auth-protected-check/'),
    ]
    const lines: Measurement[] = []
    const side = await besideBare(bench, databaseUrl, server.url, endpoints)
    try {
      for (const one of endpoints) lines.push(await side.compare(one, sizes))
    } finally {
      await side.stop()
    }
    return { lines, list: lines[0]!.ours }
  } finally {
    await server.stop()
  }
}
