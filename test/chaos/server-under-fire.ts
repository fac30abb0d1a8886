import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import type { EngineProcess } from './engine-process.ts'
import { startEngineUnderFire } from './engine-under-fire.ts'

/** A Souk, of one process or several, that is killed and started again on the same database, on changing ports. */
export interface UnderFire {
  /** Of a process that answers requests. */
  readonly url: string
  /** Times a process ended without being asked to. */
  readonly deaths: number
  /** The fault points that ended one, each as often as it did. */
  readonly reached: readonly string[]
  /** Ends that nobody caused. */
  readonly strangeEnds: readonly string[]
  /**
   * Sends a request; whenever the process that was asked is gone, the request is sent once more to one that runs, as it is when the server
   * says that it cannot serve just now (503).
   */
  request(path: string, init?: () => RequestInit): Promise<Response>
  /** Starts again what is gone. */
  revive(): Promise<void>
  stop(): Promise<void>
}

/** One `souk serve`. */
export interface ServerUnderFire extends UnderFire {
  readonly dataDir: string
  kill(): void
}

export interface FireOptions {
  folder: string
  /** Absent: the embedded database in the data folder. */
  databaseUrl?: string | undefined
  env?: Record<string, string>
}

export async function startServerUnderFire(
  options: FireOptions & {
    /** `name:pass`, one for each start; the starts after the last one go without. */
    faults?: readonly string[]
  },
): Promise<ServerUnderFire> {
  const env = await settingsOf(options)
  const faults = [...(options.faults ?? [])]
  const engine = await startEngineUnderFire({ role: 'serve', env, nextFault: () => faults.shift() })
  let isStopped = false
  const findEngine = async (): Promise<EngineProcess> => {
    await engine.revive()
    return engine.current
  }
  return {
    dataDir: env.DATA_DIR,
    get url() {
      return engine.current.url
    },
    get deaths() {
      return engine.deaths
    },
    reached: engine.reached,
    strangeEnds: engine.strangeEnds,
    request: (path, init) => send({ findEngine, isStopped: () => isStopped }, path, init),
    kill: () => engine.kill(),
    revive: () => engine.revive(),
    stop: () => {
      isStopped = true
      return engine.stop()
    },
  }
}

/** Settings of processes that are one Souk: the same data folder and secret. */
export async function settingsOf({ folder, databaseUrl, env }: FireOptions) {
  return {
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
    DATA_DIR: await mkdtemp(join(folder, 'souk-')),
    SECRET_KEY: randomBytes(16).toString('hex'),
    ADMIN_USERNAME: 'chaos',
    ADMIN_EMAIL: 'chaos@example.com',
    ADMIN_PASSWORD: 'chaos-password',
    ...env,
  }
}

interface Target {
  /** One that runs. */
  findEngine(): Promise<EngineProcess>
  isStopped(): boolean
}

const ANSWER_LIMIT_MS = 20_000
const UNAVAILABLE_PAUSE_MS = 100
/** On a busy machine the end of a connection is heard before that of the process. */
const DEATH_LIMIT_MS = 2_000

export async function send(target: Target, path: string, init: () => RequestInit = () => ({})): Promise<Response> {
  for (;;) {
    const asked = await target.findEngine()
    try {
      const response = await fetch(`${asked.url}${path}`, { ...init(), signal: AbortSignal.timeout(ANSWER_LIMIT_MS) })
      if (response.status !== 503) return response
      await wait(UNAVAILABLE_PAUSE_MS)
    } catch (error) {
      if (target.isStopped() || !(await hasDied(asked))) throw error
    }
  }
}

async function hasDied(engine: EngineProcess): Promise<boolean> {
  await Promise.race([engine.ended, wait(DEATH_LIMIT_MS, undefined, { ref: false })])
  return engine.end() !== undefined
}
