import { closedLoop, type LoadTarget } from './load.ts'
import { startScript } from './processes.ts'
import { ratioOf, type Measurement, type Sizes } from './scenario.ts'
import { median } from './stats.ts'
import { recordStatements, writeStatements, type Workbench } from './workbench.ts'

/** A reading endpoint to be measured; its paths are asked for in turn. */
export interface Endpoint {
  what: string
  paths: readonly string[]
  headers: { authorization: string }
  /** The least share of the bare rate that is promised. */
  atLeast?: number
}

export interface BesideBare {
  ours(endpoint: Endpoint): LoadTarget
  /** Ours and bare in turn, so that both see the same weather; the medians are compared. */
  compare(endpoint: Endpoint, sizes: Pick<Sizes, 'seconds' | 'rounds'>): Promise<Measurement>
  stop(): Promise<void>
}

const CONNECTIONS = 32

/** Souk at `url` beside node:http and pg sending the statements that it sends for each of these endpoints on the same database. */
export async function besideBare(
  bench: Workbench,
  databaseUrl: string,
  url: string,
  endpoints: readonly Endpoint[],
): Promise<BesideBare> {
  const requests = endpoints.flatMap(({ paths, headers }) => paths.map((path) => ({ url: path, headers })))
  const statements = await recordStatements(databaseUrl, bench.folder, requests)
  const counts = new Map<Endpoint, number>()
  const byPath: Record<string, unknown> = {}
  let seen = 0
  for (const [index, endpoint] of endpoints.entries()) {
    const lists = statements.slice(seen, (seen += endpoint.paths.length))
    counts.set(endpoint, Math.max(...lists.map((list) => list.length)))
    byPath[`/${index}`] = lists
  }
  const file = await writeStatements(bench, byPath)
  const bare = await startScript('bench/bare/http.ts', [databaseUrl, file])

  const ours = ({ paths, headers }: Endpoint): LoadTarget => ({ url, path: (n) => paths[n % paths.length]!, headers })
  return {
    ours,
    compare: async (endpoint, { seconds, rounds }) => {
      const theirs = { url: `${bare.url}/${endpoints.indexOf(endpoint)}` }
      const rates: { ours: number[]; bare: number[] } = { ours: [], bare: [] }
      for (let round = 0; round < rounds; round++) {
        rates.ours.push(await rate(ours(endpoint), seconds))
        rates.bare.push(await rate(theirs, seconds))
      }
      const label = `${endpoint.what} (${counts.get(endpoint)} statements)`
      return ratioOf(label, 'requests/s', median(rates.ours), median(rates.bare), endpoint.atLeast)
    },
    stop: () => bare.stop(),
  }
}

async function rate(target: LoadTarget, seconds: number): Promise<number> {
  const result = await closedLoop(target, CONNECTIONS, seconds)
  if (result.failures > 0) throw new Error(`${result.failures} requests to ${target.url} failed`)
  return result.perSecond
}
