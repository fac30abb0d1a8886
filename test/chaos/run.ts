// npm run chaos [-- --runs N] [--only point,point] [--held-seconds N]: every named point N times (50 by default), then random kills, then counts.
import { parseArgs } from 'node:util'

import { openWorkbench } from '../../bench/support/workbench.ts'
import { runHeldOpen } from './held-open.ts'
import { runDatabaseRestarts, runPoint, runRandomKill, type Outcome } from './journey.ts'
import { faultPoints } from './points.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    only: { type: 'string' },
    'held-seconds': { type: 'string', default: '60' },
  },
})
const runs = Number(values.runs)
const only = values.only?.split(',')
const MAX_RANDOM_KILL_MS = 1500

const bench = await openWorkbench()
let passed = 0
let failed = 0

async function attempt(name: string, work: (databaseUrl: string) => Promise<Outcome>): Promise<Outcome> {
  const outcome = await work(await bench.createDatabase()).catch((error: Error) => ({
    deaths: 0,
    problems: [error.message],
  }))
  if (outcome.problems.length === 0) passed += 1
  else failed += 1
  for (const problem of outcome.problems) console.error(`  ${name}: ${problem}`)
  return outcome
}

try {
  for (const point of faultPoints.filter((candidate) => only === undefined || only.includes(candidate.name))) {
    let deaths = 0
    for (let run = 0; run < runs; run++) {
      const pass = 1 + Math.floor(Math.random() * point.passes)
      deaths += (await attempt(`${point.name}:${pass}`, (url) => runPoint(bench.folder, url, point, pass))).deaths
    }
    console.log(`${point.name.padEnd(28)} ${runs} runs, ${deaths} kills`)
    // A point that never kills proves nothing about itself.
    if (deaths === 0) {
      failed += 1
      console.error(`  ${point.name}: was never reached`)
    }
  }
  for (const work of only === undefined ? (['uploads', 'import'] as const) : []) {
    for (let run = 0; run < runs; run++) {
      const ms = Math.floor(Math.random() * MAX_RANDOM_KILL_MS)
      await attempt(`kill -9 after ${ms} ms of ${work}`, (url) => runRandomKill(bench.folder, url, work, ms))
    }
    console.log(`${`random kills (${work})`.padEnd(28)} ${runs} runs`)
  }
  for (const signal of only === undefined ? (['SIGKILL', 'SIGINT'] as const) : []) {
    for (let run = 0; run < runs; run++)
      await attempt(`PostgreSQL ended with ${signal}`, () => runDatabaseRestarts(bench.folder, signal))
    console.log(`${`PostgreSQL, ${signal}`.padEnd(28)} ${runs} runs`)
  }
  if (only === undefined || only.includes('held-open')) {
    await attempt('a transaction held open', (url) => runHeldOpen(bench, url, Number(values['held-seconds'])))
    console.log(`${'transaction held open'.padEnd(28)} ${values['held-seconds']} s`)
  }
} finally {
  await bench.close()
}

console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
