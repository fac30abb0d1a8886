import { besideBare, type BesideBare, type Endpoint } from '../support/beside-bare.ts'
import { openLoop } from '../support/load.ts'
import type { Measurement, Sizes } from '../support/scenario.ts'
import type { SeededStore } from '../support/store-seed.ts'
import type { SampleUser } from '../support/store-users.ts'
import type { Workbench } from '../support/workbench.ts'

export interface Reading {
  bench: Workbench
  databaseUrl: string
  url: string
  store: SeededStore
  /** Follows the sellers. */
  follower: SampleUser
  products: number
  sizes: Sizes
}

/** A reading endpoint, and how long nineteen of twenty answers may take at a steady pace. */
interface PacedEndpoint extends Endpoint {
  /** Requests per second. */
  pace: number
  /** Milliseconds, up to the size of catalogue for which they are promised. */
  p95?: number
}

/** The size up to which design.md promises figures. */
const PROMISED = 100_000
const PACE = 200
/** Counts over a whole catalogue cost more than a page of it. */
const FACETS_PACE = 20
/** How many different requests are taken in turn. */
const DIFFERENT = 50
const SEARCH_MS = 15
const FACETS_MS = 40

/** The list page first; then each way to look for products, its rate beside the bare limit and its latency at a steady pace. */
export async function measureReads(reading: Reading): Promise<Measurement[]> {
  const { bench, databaseUrl, url, products, sizes } = reading
  const different = sizes.isSmoke ? 2 : DIFFERENT
  const [list, ...others] = endpointsOf(reading).map((one) => ({ ...one, paths: one.paths.slice(0, different) }))
  const side = await besideBare(bench, databaseUrl, url, [list!, ...others])
  const short = { seconds: sizes.seconds / 2, rounds: 1 }
  const lines: Measurement[] = []
  try {
    lines.push(await side.compare(list!, sizes))
    for (const endpoint of others) lines.push(await side.compare(endpoint, short))
    for (const endpoint of [list!, ...others])
      lines.push(await measurePace(side, endpoint, sizes.seconds, products <= PROMISED))
    return lines
  } finally {
    await side.stop()
  }
}

async function measurePace(
  side: BesideBare,
  endpoint: PacedEndpoint,
  seconds: number,
  isPromised: boolean,
): Promise<Measurement> {
  const { latency, failures } = await openLoop(side.ours(endpoint), endpoint.pace, seconds)
  const refused = failures === 0 ? '' : `, ${failures} refused`
  const line: Measurement = {
    what: `${endpoint.what} at ${endpoint.pace}/s, p95`,
    ours: latency.p95,
    unit: 'ms',
    note: `p50 ${latency.p50.toFixed(1)}, p99 ${latency.p99.toFixed(1)} ms${refused}`,
  }
  if (endpoint.p95 === undefined || !isPromised) return line
  return { ...line, goal: `at most ${endpoint.p95} ms`, reached: failures === 0 && latency.p95 <= endpoint.p95 }
}

function endpointsOf({ store, follower }: Reading): PacedEndpoint[] {
  const { words } = store.catalogue
  const { headers } = store.buyers[0]!
  const list = (what: string, queries: readonly string[], more: Partial<PacedEndpoint> = {}): PacedEndpoint => {
    const paths = queries.map((query) => `/api/products/?${query}page_size=20`)
    return { what, paths, headers, pace: PACE, ...more }
  }
  const search = (what: string, terms: readonly string[]): PacedEndpoint =>
    list(`search, ${what}`, terms.map(termQuery), { p95: SEARCH_MS })
  const facets = { pace: FACETS_PACE, p95: FACETS_MS }
  const middles = ofLength(words.slice(300, 2_000), 6).map((word) => word.slice(1, 5))
  const unknown = ofLength(words.slice(300, 2_000), 3).map((word) => `${word}qq`)
  const mistyped = ofLength(words.slice(300, 3_000), 7).map((word) => `${termQuery(swapped(word))}sort=relevance&`)
  const counted = ofLength(words.slice(100, 2_000), 3).map((word) => `${termQuery(word)}facets=true&`)
  const tags = store.tagIds.slice(0, DIFFERENT).map((id) => `tag=${id}&`)
  const sellers = store.sellers.slice(0, DIFFERENT).map(({ id }) => `owner_user_id=${id}&`)

  return [
    list('list page of 20', [''], { atLeast: 0.8 }),
    search('frequent term', ofLength(words.slice(10, 100), 3)),
    search('rare term', ofLength(words.slice(15_000), 3)),
    search('middle of a word', middles),
    search('two words', neighbours(store)),
    search('no match', unknown),
    list('relevance with a typing error', mistyped),
    list('facets of everything', ['facets=true&'], facets),
    list('facets of a search', counted, facets),
    list('one tag', tags),
    list('one seller', sellers),
    { what: 'feed of the sellers followed', paths: ['/api/feed/?page_size=20'], headers: follower.headers, pace: PACE },
  ]
}

function termQuery(term: string): string {
  return `search_term=${encodeURIComponent(term)}&`
}

/** Some of the words, evenly spread over all of those that are long enough. */
function ofLength(words: readonly string[], length: number): string[] {
  const long = words.filter((word) => word.length >= length)
  const step = Math.max(1, Math.floor(long.length / DIFFERENT))
  return long.filter((_, n) => n % step === 0).slice(0, DIFFERENT)
}

/** Two words as they follow each other in some description. */
function neighbours({ catalogue }: SeededStore): string[] {
  const terms: string[] = []
  for (const product of catalogue.products()) {
    terms.push(product.texts().description.split(' ').slice(4, 6).join(' '))
    if (terms.length === DIFFERENT) break
  }
  return terms
}

/** Two letters in the middle have changed places. */
function swapped(word: string): string {
  const middle = Math.floor(word.length / 2)
  return word.slice(0, middle) + word[middle + 1]! + word[middle]! + word.slice(middle + 2)
}
