// npm run bench [-- --smoke] [--only name,name] [--products N] [--sizes N,N]
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { changesScenario } from './scenarios/changes.ts'
import { fanOutScenario } from './scenarios/fan-out.ts'
import { feedScenario } from './scenarios/feed.ts'
import { httpScenario } from './scenarios/http.ts'
import { liveScenario } from './scenarios/live.ts'
import { signInScenario } from './scenarios/sign-in.ts'
import { startScenario } from './scenarios/start.ts'
import { storeScenario } from './scenarios/store.ts'
import { streamScenario } from './scenarios/stream.ts'
import { keep, table } from './support/report.ts'
import type { Measurement, Scenario, Sizes } from './support/scenario.ts'

const scenarios: Scenario[] = [
  startScenario,
  httpScenario,
  signInScenario,
  feedScenario,
  storeScenario,
  changesScenario,
  liveScenario,
  fanOutScenario,
  streamScenario,
]

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    only: { type: 'string' },
    products: { type: 'string' },
    sizes: { type: 'string', default: '1000,10000,100000' },
  },
})
const sizes: Sizes = values.smoke
  ? { isSmoke: true, products: 1000, catalogues: [1000], seconds: 0.5, rounds: 1 }
  : {
      isSmoke: false,
      products: Number(values.products ?? 100_000),
      catalogues: values.sizes.split(',').map(Number),
      seconds: 4,
      rounds: 3,
    }
const names = values.only?.split(',')
const chosen = scenarios.filter((scenario) => names === undefined || names.includes(scenario.name))

const lines: Measurement[] = []
let broken = 0
for (const scenario of chosen) {
  try {
    const measured = await scenario.run(sizes)
    lines.push(...measured)
    console.log(`\n${scenario.name}\n${table(measured)}`)
  } catch (error) {
    broken += 1
    console.error(`\n${scenario.name} broke:`, error)
  }
}

if (!sizes.isSmoke) {
  const name = names === undefined ? 'latest' : `latest-${names.join('-')}`
  console.log(`\nkept in ${await keep(join(import.meta.dirname, 'results'), name, lines)}`)
}
// A smoke run proves that the scenarios work; a goal missed on small sizes says nothing. A real run shows misses in the table.
console.log(`\n${chosen.length - broken} passed, ${broken} failed`)
process.exit(broken === 0 ? 0 : 1)
