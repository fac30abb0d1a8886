import { setTimeout as wait } from 'node:timers/promises'

import type { EngineProcess, Role } from './engine-process.ts'
import { startEngineUnderFire, type EngineUnderFire } from './engine-under-fire.ts'
import { send, settingsOf, type FireOptions, type UnderFire } from './server-under-fire.ts'

/** Several processes on one database. Each that dies is started again a little later, and the others serve meanwhile. */
export interface FleetUnderFire extends UnderFire {
  /** kill -9 of one of them, whichever it is. */
  killOne(): void
  /** kill -9 of one of them that stays down until `reviveAll`; the others have to do its work. */
  killForGood(): void
  reviveAll(): Promise<void>
}

interface FleetOptions extends FireOptions {
  roles: readonly Role[]
  /** `name:pass` for the next start of a process of this role; undefined for one without. */
  nextFault(role: Role): string | undefined
}

/** Long enough for the others to take requests and leases over now and then. */
const MAX_DOWN_MS = 800
const LOOK_MS = 20

export async function startFleetUnderFire(options: FleetOptions): Promise<FleetUnderFire> {
  const env = await settingsOf(options)
  const engines = await startAll(options, env)
  const serving = engines.filter(({ role }) => role !== 'worker')
  let isStopped = false
  const tending = engines.map(tend)

  async function tend(engine: EngineUnderFire): Promise<void> {
    while (!isStopped) {
      await wait(LOOK_MS)
      if (engine.current.end() === undefined) continue
      await wait(Math.random() * MAX_DOWN_MS)
      // What cannot be started is told of at the end; whoever waits for it throws.
      await engine.revive().catch(() => wait(MAX_DOWN_MS))
    }
  }

  function oneReady(): EngineProcess | undefined {
    return oneOf(serving.map(({ current }) => current).filter((current) => current.isReady()))
  }

  async function findEngine(): Promise<EngineProcess> {
    for (;;) {
      const ready = oneReady()
      if (ready !== undefined) return ready
      if (isStopped) throw new Error('the processes have been stopped')
      await wait(LOOK_MS)
    }
  }

  async function revive(): Promise<void> {
    await Promise.all(engines.map((engine) => engine.revive()))
  }

  return {
    get url() {
      return (oneReady() ?? serving[0]!.current).url
    },
    get deaths() {
      return engines.reduce((sum, engine) => sum + engine.deaths, 0)
    },
    get reached() {
      return engines.flatMap((engine) => engine.reached)
    },
    get strangeEnds() {
      return engines.flatMap((engine) => engine.strangeEnds)
    },
    request: (path, init) => send({ findEngine, isStopped: () => isStopped }, path, init),
    killOne: () => oneOf(living(engines))?.kill(),
    killForGood: () => oneOf(engines)?.hold(),
    revive,
    reviveAll: () => {
      for (const engine of engines) engine.release()
      return revive()
    },
    stop: async () => {
      isStopped = true
      await Promise.all(tending)
      await Promise.all(engines.map((engine) => engine.stop()))
    },
  }
}

async function startAll(options: FleetOptions, env: Record<string, string>): Promise<EngineUnderFire[]> {
  const starts = await Promise.allSettled(
    options.roles.map((role) => startEngineUnderFire({ role, env, nextFault: () => options.nextFault(role) })),
  )
  const engines = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed === undefined) return engines
  await Promise.all(engines.map((engine) => engine.stop()))
  throw failed.reason
}

/** One that is dead already was not killed from outside. */
function living(engines: readonly EngineUnderFire[]): EngineUnderFire[] {
  return engines.filter(({ current }) => current.end() === undefined)
}

function oneOf<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)]
}
