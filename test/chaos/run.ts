// npm run chaos [-- options]: what dies, races and crosses, and the counts afterwards. `--help` names the options.
import { parseArgs } from 'node:util'

import { openWorkbench } from '../../bench/support/workbench.ts'
import { crash } from './crashes.ts'
import { runHeldOpen } from './held-open.ts'
import { faultPoints } from './points.ts'
import { runModel } from './model.ts'
import { race } from './races.ts'
import { createTally } from './tally.ts'

const USAGE = `npm run chaos [-- options]

Kills the server at every named point of its code and at random ones, ends the database under it, lets hundreds of
customers want the same units, and counts afterwards. Ends with "N passed, N failed".

  --runs N               every point and every random kill N times, the races 4 N times each,
                         200 N commands compared with the model of the store (50)
  --only NAME,NAME       these alone: points by name, or kills, store-kills, database, held-open, races,
                         crossing, model
  --held-seconds N       how long one transaction stays open (60)
  --crossing-seconds N   how long orders cross each other in either shape (60)
  --help                 this text
`

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    only: { type: 'string' },
    'held-seconds': { type: 'string', default: '60' },
    'crossing-seconds': { type: 'string', default: '60' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}

const parts = ['kills', 'store-kills', 'database', 'held-open', 'races', 'crossing', 'model']
const known = new Set([...faultPoints.map(({ name }) => name), ...parts])
const only = values.only?.split(',')
const unknown = only?.filter((name) => !known.has(name)) ?? []
const numbers = [values.runs, values['held-seconds'], values['crossing-seconds']].map(Number)
if (unknown.length > 0 || !numbers.every((number) => Number.isSafeInteger(number) && number > 0)) {
  process.stderr.write(unknown.length > 0 ? `There is no ${unknown.join(', ')}.\n\n${USAGE}` : USAGE)
  process.exit(2)
}

const [runs = 0, heldSeconds = 0, crossingSeconds = 0] = numbers
const isWanted = (name: string): boolean => only === undefined || only.includes(name)
const bench = await openWorkbench()
const tally = createTally()
try {
  await crash({ bench, tally, runs, isWanted })
  if (isWanted('held-open')) {
    await tally.attempt('a transaction held open', async () =>
      runHeldOpen(bench, await bench.createDatabase(), heldSeconds),
    )
    tally.say('transaction held open', `${heldSeconds} s`)
  }
  await race({ bench, tally, rounds: 4 * runs, crossingSeconds, isWanted })
  if (isWanted('model')) {
    await tally.attempt('the model of the store', () => runModel(200 * runs))
    tally.say('model', `${200 * runs} commands`)
  }
} finally {
  await bench.close()
}

console.log(`\n${tally.passed} passed, ${tally.failed} failed`)
process.exit(tally.failed === 0 ? 0 : 1)
