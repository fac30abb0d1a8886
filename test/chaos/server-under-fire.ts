import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'

import { startSouk, type ServerProcess } from '../../bench/support/processes.ts'

/** A Souk that is killed and started again on the same database and data folder, on changing ports. */
export interface ServerUnderFire {
  readonly url: string
  readonly dataDir: string
  /** Times the process ended without being asked to. */
  readonly deaths: number
  /** The fault points that ended it, each as often as it did. */
  readonly reached: readonly string[]
  /**
   * Sends a request; whenever the process is gone it is started again, without a fault, and the request sent once more, as it is
   * when the server says that it cannot serve just now (503).
   */
  request(path: string, init?: () => RequestInit): Promise<Response>
  kill(): void
  /** Starts the process again when it is gone; several who ask at once wait for one start. */
  revive(): Promise<void>
  stop(): Promise<void>
}

export async function startServerUnderFire(options: {
  folder: string
  /** Absent: the embedded database in the data folder. */
  databaseUrl?: string | undefined
  /** `name:pass`, one for each start; the starts after the last one go without. */
  faults?: readonly string[]
  env?: Record<string, string>
}): Promise<ServerUnderFire> {
  const dataDir = await mkdtemp(join(options.folder, 'souk-'))
  const env = {
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    DATA_DIR: dataDir,
    SECRET_KEY: randomBytes(16).toString('hex'),
    ADMIN_USERNAME: 'chaos',
    ADMIN_EMAIL: 'chaos@example.com',
    ADMIN_PASSWORD: 'chaos-password',
    LOG_LEVEL: 'error',
    ...options.env,
  }
  const faults = [...(options.faults ?? [])]
  const reached: string[] = []
  let deaths = 0
  let fault: string | undefined
  let starting: Promise<void> | undefined
  let isStopped = false
  let server = await start()

  async function start(): Promise<ServerProcess> {
    for (;;) {
      fault = faults.shift()
      try {
        return await startSouk({ ...env, ...(fault === undefined ? {} : { SOUK_FAULT: fault }) })
      } catch (error) {
        // Some points are passed while starting; that death counts like any other.
        if (fault === undefined) throw error
        recordDeath()
      }
    }
  }

  function recordDeath(): void {
    deaths += 1
    if (fault !== undefined) reached.push(fault)
  }

  async function restart(): Promise<void> {
    if (isStopped || isAlive(server)) return
    recordDeath()
    server = await start()
  }

  function revive(): Promise<void> {
    starting ??= restart().finally(() => (starting = undefined))
    return starting
  }

  async function request(path: string, init: () => RequestInit = () => ({})): Promise<Response> {
    for (;;) {
      const asked = server
      try {
        const response = await fetch(`${asked.url}${path}`, { ...init(), signal: AbortSignal.timeout(20_000) })
        if (response.status !== 503) return response
        await new Promise((resolve) => setTimeout(resolve, 100))
      } catch (error) {
        if (isStopped || !(await hasDied(asked))) throw error
        // Another request may have brought it back already.
        await revive()
      }
    }
  }

  return {
    dataDir,
    get url() {
      return server.url
    },
    get deaths() {
      return deaths
    },
    reached,
    request,
    kill: () => {
      fault = undefined
      server.kill()
    },
    revive,
    stop: async () => {
      isStopped = true
      await starting
      await server.stop()
    },
  }
}

/** On a busy machine the end of a connection is heard before that of the process. */
const DEATH_LIMIT_MS = 2_000

async function hasDied(server: ServerProcess): Promise<boolean> {
  const until = Date.now() + DEATH_LIMIT_MS
  while (isAlive(server) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
  return !isAlive(server)
}

function isAlive(server: ServerProcess): boolean {
  try {
    process.kill(server.pid, 0)
    return !server.hasExited()
  } catch {
    return false
  }
}
