import type { Workbench } from '../../bench/support/workbench.ts'
import { runDatabaseRestarts, runPoint, runRandomKill, type Work } from './journey.ts'
import { faultPoints, type FaultPoint } from './points.ts'
import { runStoreKills, runStorePoints } from './store-journey.ts'
import type { Tally } from './tally.ts'

interface Crashes {
  bench: Workbench
  tally: Tally
  runs: number
  isWanted: (name: string) => boolean
}

const MAX_RANDOM_KILL_MS = 1500
/** In one life of a store's database. */
const STORE_KILLS = 5

/** Kills the server at named points and random ones, then the database under it. */
export async function crash(crashes: Crashes): Promise<void> {
  const { isWanted } = crashes
  const points = faultPoints.filter(({ name }) => isWanted(name))
  for (const point of points) if (isPlain(point)) await crashAt(crashes, point)
  await crashStore(
    crashes,
    points.filter(({ work }) => work === 'store'),
  )
  if (isWanted('kills')) await killAtRandom(crashes)
  if (isWanted('store-kills')) await killStoreAtRandom(crashes)
  if (isWanted('database')) await endDatabase(crashes)
}

function isPlain(point: FaultPoint): point is FaultPoint & { work: Work } {
  return point.work !== 'store'
}

async function crashAt({ bench, tally, runs }: Crashes, point: FaultPoint & { work: Work }): Promise<void> {
  let deaths = 0
  for (let run = 0; run < runs; run++) {
    const pass = 1 + Math.floor(Math.random() * point.passes)
    const outcome = await tally.attempt(`${point.name}:${pass}`, async () =>
      runPoint(bench.folder, await bench.createDatabase(), point, pass),
    )
    deaths += outcome?.deaths ?? 0
  }
  tally.say(point.name, `${runs} runs, ${deaths} kills`)
  // A point that never kills proves nothing about itself.
  await tally.attempt(point.name, async () => ({ problems: deaths === 0 ? ['was never reached'] : [] }))
}

/** All points of the store in one life, in another order in each run. */
async function crashStore({ bench, tally, runs }: Crashes, points: readonly FaultPoint[]): Promise<void> {
  if (points.length === 0) return
  const kills = new Map(points.map(({ name }) => [name, 0]))
  let orders = 0
  for (let run = 0; run < runs; run++) {
    const order = points.map((point) => ({ point, place: Math.random() })).toSorted((a, b) => a.place - b.place)
    const shuffled = order.map(({ point }) => point)
    const outcome = await tally.attempt('the points of the store', async () =>
      runStorePoints(bench.folder, await bench.createDatabase(), shuffled),
    )
    for (const name of outcome?.reached ?? []) kills.set(name, (kills.get(name) ?? 0) + 1)
    orders += outcome?.orders ?? 0
  }
  tally.say('the points of the store', `${runs} runs, ${orders} orders`)
  for (const [name, times] of kills) {
    tally.say(name, `${runs} runs, ${times} kills`)
    await tally.attempt(name, async () => ({ problems: times === 0 ? ['was never reached'] : [] }))
  }
}

async function killAtRandom({ bench, tally, runs }: Crashes): Promise<void> {
  for (const work of ['uploads', 'import'] as const) {
    for (let run = 0; run < runs; run++) {
      const ms = Math.floor(Math.random() * MAX_RANDOM_KILL_MS)
      await tally.attempt(`kill -9 after ${ms} ms of ${work}`, async () =>
        runRandomKill(bench.folder, await bench.createDatabase(), work, ms),
      )
    }
    tally.say(`random kills (${work})`, `${runs} runs`)
  }
}

async function killStoreAtRandom({ bench, tally, runs }: Crashes): Promise<void> {
  let [kills, orders] = [0, 0]
  for (let run = 0; run < runs; run++) {
    const outcome = await tally.attempt('kill -9 of a store', async () =>
      runStoreKills(bench.folder, await bench.createDatabase(), STORE_KILLS, MAX_RANDOM_KILL_MS),
    )
    kills += outcome?.deaths ?? 0
    orders += outcome?.orders ?? 0
  }
  tally.say('random kills (store)', `${runs} runs, ${kills} kills, ${orders} orders`)
}

async function endDatabase({ bench, tally, runs }: Crashes): Promise<void> {
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    for (let run = 0; run < runs; run++)
      await tally.attempt(`PostgreSQL ended with ${signal}`, () => runDatabaseRestarts(bench.folder, signal))
    tally.say(`PostgreSQL, ${signal}`, `${runs} runs`)
  }
}
