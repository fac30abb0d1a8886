// npm run bench [-- options]: every promise of speed beside its bare limit. `--help` names the options.
import { join } from 'node:path'

import { parseArguments } from '../src/cli/command.ts'
import { changesScenario } from './scenarios/changes.ts'
import { fanOutScenario } from './scenarios/fan-out.ts'
import { feedScenario } from './scenarios/feed.ts'
import { httpScenario } from './scenarios/http.ts'
import { liveScenario } from './scenarios/live.ts'
import { signInScenario } from './scenarios/sign-in.ts'
import { startScenario } from './scenarios/start.ts'
import { storeScenario } from './scenarios/store.ts'
import { streamScenario } from './scenarios/stream.ts'
import { readCommandLine, readCount, readNames } from './support/command-line.ts'
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

const USAGE = `npm run bench [-- options]

Measures every promise of speed beside its bare limit, and keeps the figures in bench/results/. Ends with "N passed, N failed".

  --only NAME,NAME   these scenarios alone: ${scenarios.map(({ name }) => name).join(', ')}
  --products N       how many products http reads from (100000)
  --sizes N,N        how many products store is measured with, each in turn (1000,10000,100000)
  --smoke            small and short: whether the scenarios work, not how fast they are; keeps no figures
  --help             this text
`

const { sizes, names } = readCommandLine('bench', USAGE, (args) => {
  const { values } = parseArguments({
    args,
    options: {
      smoke: { type: 'boolean', default: false },
      only: { type: 'string' },
      products: { type: 'string', default: '100000' },
      sizes: { type: 'string', default: '1000,10000,100000' },
    },
  })
  const products = readCount('--products', values.products)
  const catalogues = values.sizes.split(',').map((size) => readCount('--sizes', size))
  const asked: Sizes = values.smoke
    ? { isSmoke: true, products: 1000, catalogues: [1000], seconds: 0.5, rounds: 1 }
    : { isSmoke: false, products, catalogues, seconds: 4, rounds: 3 }
  const known = scenarios.map(({ name }) => name)
  return { sizes: asked, names: readNames(values.only, known) }
})
const chosen = scenarios.filter(({ name }) => names === undefined || names.includes(name))

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
