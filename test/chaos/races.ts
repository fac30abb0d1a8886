import type { Workbench } from '../../bench/support/workbench.ts'
import { changeWhileOrdering } from '../races/changing-goods.ts'
import { crossBags } from '../races/crossing.ts'
import { raceForLastUnits } from '../races/last-units.ts'
import { openMarket, type Market, type Shape } from '../races/market.ts'
import type { Tally } from './tally.ts'

interface Races {
  bench: Workbench
  tally: Tally
  /** Of each race in each shape. */
  rounds: number
  crossingSeconds: number
  isWanted: (name: string) => boolean
}

const BUYERS = 500
const shapes: readonly Shape[] = ['one process', 'two processes']

/** Customers who want the same units at the same time: the last ones, and the same ones in another order. */
export async function race({ bench, tally, rounds, crossingSeconds, isWanted }: Races): Promise<void> {
  for (const shape of isWanted('races') ? shapes : []) {
    await inMarket({ bench, tally, shape }, async (market) => {
      for (const way of ['orders', 'bags'] as const) {
        const started = performance.now()
        for (let round = 0; round < rounds; round++)
          await tally.attempt(`${way}, ${shape}`, async () => ({ problems: await raceForLastUnits(market, way) }))
        const seconds = ((performance.now() - started) / 1000).toFixed(0)
        tally.say(`last units (${way})`, `${shape}, ${rounds} rounds, ${seconds} s`)
      }
    })
  }
  for (const [name, cross] of isWanted('crossing') ? crossings : []) {
    await inMarket({ bench, tally, shape: 'two processes' }, async (market) => {
      const outcome = await tally.attempt(name, () => cross(market, crossingSeconds))
      tally.say(name, `${crossingSeconds} s, ${outcome?.orders ?? 0} orders`)
    })
  }
}

const crossings = [
  ['crossing bags', crossBags],
  ['crossing changes', changeWhileOrdering],
] as const

interface Place {
  bench: Workbench
  tally: Tally
  shape: Shape
}

async function inMarket({ bench, tally, shape }: Place, work: (market: Market) => Promise<void>): Promise<void> {
  const databaseUrl = await bench.createDatabase()
  const market = await openMarket({ folder: bench.folder, databaseUrl, shape, buyers: BUYERS })
  let complaints: string[] = []
  try {
    await work(market)
  } finally {
    complaints = await market.close()
  }
  await tally.attempt(`what ${shape} logged`, async () => ({ problems: complaints.slice(0, 10) }))
}
