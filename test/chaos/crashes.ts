import type { Workbench } from '../../bench/support/workbench.ts'
import type { Slots } from '../../src/platform/slots.ts'
import type { Databases } from './databases.ts'
import { runDatabaseRestarts, runPoint, runRandomKill, type Work } from './journey.ts'
import { faultPoints, type FaultPoint } from './points.ts'
import { runStoreKills, runStorePoints } from './store-journey.ts'
import type { Tally } from './tally.ts'
import { companies, createDealer, runTogether } from './together-journey.ts'

interface Crashes {
  bench: Workbench
  databases: Databases
  sideBySide: Slots
  tally: Tally
  runs: number
  isWanted: (name: string) => boolean
}

const MAX_RANDOM_KILL_MS = 1500
/** In one life of a store's database. */
const STORE_KILLS = 5

/** Kills the server at named points and random ones, then the database under it; most of the time of a run is waiting, so they run side by side. */
export async function crash(crashes: Crashes): Promise<void> {
  const { isWanted } = crashes
  const points = faultPoints.filter(({ name }) => isWanted(name))
  await Promise.all([
    crashStore(
      crashes,
      points.filter(({ work }) => work === 'store'),
    ),
    ...(isWanted('store-kills') ? [killStoreAtRandom(crashes)] : []),
    ...(isWanted('store-kills-two') ? [killTogether(crashes)] : []),
    ...points.filter(isPlain).map((point) => crashAt(crashes, point)),
    ...(isWanted('kills') ? [killAtRandom(crashes, 'uploads'), killAtRandom(crashes, 'import')] : []),
    ...(isWanted('database') ? [endDatabase(crashes, 'SIGKILL'), endDatabase(crashes, 'SIGINT')] : []),
  ])
}

function isPlain(point: FaultPoint): point is FaultPoint & { work: Work } {
  return point.work !== 'store'
}

interface Attempt<T> {
  name: string
  work: () => Promise<T>
}

/** All runs of one kind, as there is room for them; the outcomes of those that came to their end. */
async function attempts<T extends { problems: readonly string[] }>(
  { tally, runs, sideBySide }: Crashes,
  next: (run: number) => Attempt<T>,
): Promise<T[]> {
  const all = Array.from({ length: runs }, (_, run) => {
    const { name, work } = next(run)
    return sideBySide(() => tally.attempt(name, work))
  })
  return (await Promise.all(all)).filter((outcome) => outcome !== undefined)
}

async function crashAt(crashes: Crashes, point: FaultPoint & { work: Work }): Promise<void> {
  const { bench, databases, tally, runs } = crashes
  const outcomes = await attempts(crashes, () => {
    const pass = 1 + Math.floor(Math.random() * point.passes)
    const work = () => databases.lend((url) => runPoint(bench.folder, url, point, pass))
    return { name: `${point.name}:${pass}`, work }
  })
  const deaths = sum(outcomes.map((outcome) => outcome.deaths))
  tally.say(point.name, `${runs} runs, ${deaths} kills`)
  // A point that never kills proves nothing about itself.
  await tally.attempt(point.name, async () => ({ problems: deaths === 0 ? ['was never reached'] : [] }))
}

/** All points of the store in one life, in another order in each run. */
async function crashStore(crashes: Crashes, points: readonly FaultPoint[]): Promise<void> {
  if (points.length === 0) return
  const { bench, databases, tally, runs } = crashes
  const outcomes = await attempts(crashes, () => {
    const order = points.map((point) => ({ point, place: Math.random() })).toSorted((a, b) => a.place - b.place)
    const shuffled = order.map(({ point }) => point)
    const work = () => databases.lend((url) => runStorePoints(bench.folder, url, shuffled))
    return { name: 'the points of the store', work }
  })
  tally.say('the points of the store', `${runs} runs, ${sum(outcomes.map(({ orders }) => orders))} orders`)
  const reached = outcomes.flatMap((outcome) => outcome.reached)
  for (const { name } of points) {
    const times = reached.filter((point) => point === name).length
    tally.say(name, `${runs} runs, ${times} kills`)
    await tally.attempt(name, async () => ({ problems: times === 0 ? ['was never reached'] : [] }))
  }
}

async function killAtRandom(crashes: Crashes, work: Work): Promise<void> {
  const { bench, databases, tally, runs } = crashes
  await attempts(crashes, () => {
    const ms = Math.floor(Math.random() * MAX_RANDOM_KILL_MS)
    const killed = () => databases.lend((url) => runRandomKill(bench.folder, url, work, ms))
    return { name: `kill -9 after ${ms} ms of ${work}`, work: killed }
  })
  tally.say(`random kills (${work})`, `${runs} runs`)
}

async function killStoreAtRandom(crashes: Crashes): Promise<void> {
  const { bench, databases, tally, runs } = crashes
  const work = () => databases.lend((url) => runStoreKills(bench.folder, url, STORE_KILLS, MAX_RANDOM_KILL_MS))
  const outcomes = await attempts(crashes, () => ({ name: 'kill -9 of a store', work }))
  const kills = sum(outcomes.map(({ deaths }) => deaths))
  const orders = sum(outcomes.map((outcome) => outcome.orders))
  tally.say('random kills (store)', `${runs} runs, ${kills} kills, ${orders} orders`)
}

/** The companies take turns; each run is one life of a store's database. */
async function killTogether(crashes: Crashes): Promise<void> {
  const { bench, databases, tally, runs } = crashes
  const deal = createDealer()
  const outcomes = await attempts(crashes, (run) => {
    const roles = companies[run % companies.length]!
    const work = () => databases.lend((url) => runTogether(bench.folder, url, roles, deal))
    return { name: `kill -9 among ${roles.join(', ')}`, work }
  })
  const kills = sum(outcomes.map(({ deaths }) => deaths))
  const reached = outcomes.flatMap((outcome) => outcome.reached)
  const orders = sum(outcomes.map((outcome) => outcome.orders))
  const takenOver = sum(outcomes.map((outcome) => outcome.takenOver))
  const atPoints = `${reached.length} of them at ${new Set(reached).size} points`
  tally.say('store-kills-two', `${runs} runs, ${kills} kills, ${atPoints}, ${orders} orders, ${takenOver} leases lost`)
  await tally.attempt('store-kills-two', async () => ({
    problems: [
      ...(reached.length === 0 ? ['no point was ever reached'] : []),
      ...(kills === reached.length ? ['nobody was killed from outside'] : []),
      ...(takenOver === 0 ? ['no lease was ever taken over'] : []),
    ],
  }))
}

async function endDatabase(crashes: Crashes, signal: 'SIGKILL' | 'SIGINT'): Promise<void> {
  const { bench, tally, runs } = crashes
  const work = () => runDatabaseRestarts(bench.folder, signal)
  await attempts(crashes, () => ({ name: `PostgreSQL ended with ${signal}`, work }))
  tally.say(`PostgreSQL, ${signal}`, `${runs} runs`)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
