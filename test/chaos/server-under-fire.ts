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
  /**
   * Sends a request; whenever the process is gone it is started again, without a fault, and the request sent once more, as it is
   * when the server says that it cannot serve just now (503).
   */
  request(path: string, init?: () => RequestInit): Promise<Response>
  kill(): void
  /** Starts the process again when it is gone. */
  revive(): Promise<void>
  stop(): Promise<void>
}

export async function startServerUnderFire(options: {
  folder: string
  /** Absent: the embedded database in the data folder. */
  databaseUrl?: string | undefined
  fault?: string | undefined
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
  const fault = options.fault === undefined ? {} : { SOUK_FAULT: options.fault }
  let deaths = 0
  let server = await startSouk({ ...env, ...fault }).catch(async () => {
    // Some points are passed while starting; that death counts like any other.
    deaths += 1
    return startSouk(env)
  })

  async function revive(): Promise<void> {
    if (isAlive(server)) return
    deaths += 1
    server = await startSouk(env)
  }

  async function request(path: string, init: () => RequestInit = () => ({})): Promise<Response> {
    for (;;) {
      try {
        const response = await fetch(`${server.url}${path}`, { ...init(), signal: AbortSignal.timeout(20_000) })
        if (response.status !== 503) return response
        await new Promise((resolve) => setTimeout(resolve, 100))
      } catch (error) {
        if (isAlive(server)) await new Promise((resolve) => setTimeout(resolve, 50))
        if (isAlive(server)) throw error
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
    request,
    kill: () => server.kill(),
    revive,
    stop: () => server.stop(),
  }
}

function isAlive(server: ServerProcess): boolean {
  try {
    process.kill(server.pid, 0)
    return !server.hasExited()
  } catch {
    return false
  }
}
