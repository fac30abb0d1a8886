// npm run chaos [-- options]: what dies, races and crosses, and the counts afterwards. `--help` names the options.
import { availableParallelism } from 'node:os'

import { readCommandLine, readCount, readNames } from '../../bench/support/command-line.ts'
import { openWorkbench } from '../../bench/support/workbench.ts'
import { parseArguments } from '../../src/cli/command.ts'
import { createSlots } from '../../src/platform/slots.ts'
import { crash } from './crashes.ts'
import { openDatabases } from './databases.ts'
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
  --only NAME,NAME       these alone: points by name, or kills, store-kills, store-kills-two, database,
                         held-open, races, crossing, model
  --at-once N            so many crash runs side by side; each mostly waits (twice the processors)
  --held-seconds N       how long one transaction stays open (60)
  --crossing-seconds N   how long orders cross each other in either shape (60)
  --help                 this text
`

const parts = ['kills', 'store-kills', 'store-kills-two', 'database', 'held-open', 'races', 'crossing', 'model']

const { runs, atOnce, heldSeconds, crossingSeconds, only } = readCommandLine('chaos', USAGE, (args) => {
  const { values } = parseArguments({
    args,
    options: {
      runs: { type: 'string', default: '50' },
      only: { type: 'string' },
      'at-once': { type: 'string', default: String(2 * availableParallelism()) },
      'held-seconds': { type: 'string', default: '60' },
      'crossing-seconds': { type: 'string', default: '60' },
    },
  })
  return {
    runs: readCount('--runs', values.runs),
    atOnce: readCount('--at-once', values['at-once']),
    heldSeconds: readCount('--held-seconds', values['held-seconds']),
    crossingSeconds: readCount('--crossing-seconds', values['crossing-seconds']),
    only: readNames(values.only, [...faultPoints.map(({ name }) => name), ...parts]),
  }
})
const isWanted = (name: string): boolean => only === undefined || only.includes(name)
const bench = await openWorkbench()
const tally = createTally()
try {
  const databases = await openDatabases(bench)
  await crash({ bench, databases, sideBySide: createSlots(atOnce), tally, runs, isWanted })
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
