import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'

import { startSouk, type ServerProcess } from '../../bench/support/processes.ts'
import { onServer } from '../../bench/support/workbench.ts'
import { makeBuyers, type Buyer } from './buyers.ts'
import { json, openDoor, type Door } from './door.ts'

/** How the server is run: all in one process, or a second one beside it that answers requests on the same database. */
export type Shape = 'one process' | 'two processes'

export interface Market {
  databaseUrl: string
  /** Of those that answer requests. */
  urls: readonly string[]
  door: Door
  seller: Buyer
  buyers: readonly Buyer[]
  /** Ends the servers and returns what went wrong inside them. */
  close(): Promise<string[]>
}

interface MarketOptions {
  folder: string
  databaseUrl: string
  shape: Shape
  buyers: number
  env?: Record<string, string>
}

/** Longer than any race: nothing expires. */
const WINDOW_SECONDS = '3600'

export async function openMarket({ folder, databaseUrl, shape, buyers, env = {} }: MarketOptions): Promise<Market> {
  const servers: ServerProcess[] = []
  const settings = {
    DATABASE_URL: databaseUrl,
    SECRET_KEY: 'a secret for races only',
    LOG_LEVEL: 'warn',
    CONFIRM_WINDOW_SECONDS: WINDOW_SECONDS,
    ...env,
  }
  for (const role of shape === 'one process' ? ['serve'] : ['serve', 'api']) {
    const dataDir = await mkdtemp(join(folder, 'souk-'))
    const starting = startSouk({ ...settings, DATA_DIR: dataDir }, role)
    servers.push(
      await starting.catch(async (error: unknown) => {
        await Promise.all(servers.map((server) => server.stop()))
        throw error
      }),
    )
  }
  const urls = servers.map(({ url }) => url)
  const door = openDoor(() => urls, buyers)
  const [seller, ...others] = await makeBuyers(databaseUrl, buyers + 1)
  return {
    databaseUrl,
    urls,
    door,
    seller: seller!,
    buyers: others,
    close: async () => {
      door.close()
      await Promise.all(servers.map((server) => server.stop()))
      return [...servers.flatMap(complaintsOf), ...(await deadlockProblems(databaseUrl))]
    },
  }
}

/** What a server has logged as a warning or worse. */
function complaintsOf(server: ServerProcess): string[] {
  const lines = server.output().split('\n')
  return lines.filter((line) => /"level":[456]0/.test(line)).map((line) => `logged: ${line.slice(0, 500)}`)
}

/** Deadlocks are tried again and so do not show in the answers; the database counts them. Its counters are complete once nobody is connected. */
async function deadlockProblems(databaseUrl: string): Promise<string[]> {
  const [row] = await onServer<{ deadlocks: string }>(
    databaseUrl,
    'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
  )
  return row!.deadlocks === '0' ? [] : [`the database counted ${row!.deadlocks} deadlocks`]
}

/** Puts a product with this stock on offer and returns its id. */
export async function offer(market: Market, stock: Record<string, number>, price = 100): Promise<string> {
  const answer = await market.door.send({
    method: 'POST',
    path: '/api/products/',
    headers: market.seller.headers,
    body: { title: 'A thing', description: 'Wanted by many.', price, stock },
  })
  if (answer.status !== 201) throw new Error(`a product was answered with ${answer.status}: ${answer.text}`)
  return json(answer).id
}
