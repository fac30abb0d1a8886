import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { InjectOptions } from 'fastify'
import pg from 'pg'
import { pino } from 'pino'

import { assemble } from '../../src/app.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { loadConfig } from '../../src/platform/config.ts'
import { createDb } from '../../src/platform/db/db.ts'
import { startEmbeddedPostgres } from '../../src/platform/db/embedded.ts'
import type { Statement } from '../bare/statements.ts'
import { startSouk, type ServerProcess } from './processes.ts'

/** A PostgreSQL and a folder for one run, used by Souk and by the bare reference alike. */
export interface Workbench {
  folder: string
  /** A database of its own, empty. */
  createDatabase(): Promise<string>
  startSouk(databaseUrl: string, env?: Record<string, string>): Promise<ServerProcess>
  close(): Promise<void>
}

const ADMIN = { ADMIN_USERNAME: 'bench', ADMIN_EMAIL: 'bench@example.com', ADMIN_PASSWORD: 'bench-password' }
const SECRET_KEY = 'a secret for benchmarks only'

/** Opens the embedded PostgreSQL with the settings of production, in a temporary folder. */
export async function openWorkbench(): Promise<Workbench> {
  const folder = await mkdtemp(join(tmpdir(), 'souk-bench-'))
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'data'), log: pino({ level: 'silent' }) })
  return {
    folder,
    createDatabase: async () => {
      const name = `bench_${randomBytes(4).toString('hex')}`
      await onServer(server.url, `CREATE DATABASE ${name}`)
      return server.url.replace(/^(postgres(?:ql)?:\/\/[^/]*)\/[^?]*/, `$1/${name}`)
    },
    startSouk: async (databaseUrl, env = {}) => {
      const dataDir = await mkdtemp(join(folder, 'souk-'))
      return startSouk({
        DATABASE_URL: databaseUrl,
        DATA_DIR: dataDir,
        LOG_LEVEL: 'error',
        SECRET_KEY,
        ...ADMIN,
        ...env,
      })
    },
    close: async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Signs in as the superuser of the workbench and returns the headers that carry the token. */
export async function signIn(url: string): Promise<{ authorization: string }> {
  const response = await fetch(`${url}/api/auth/login/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: ADMIN.ADMIN_USERNAME, password: ADMIN.ADMIN_PASSWORD }),
  })
  const { token } = (await response.json()) as { token: string }
  return { authorization: `Token ${token}` }
}

/** The statements that each of the requests sends, in order, seen from inside a server on the same database. */
export async function recordStatements(
  databaseUrl: string,
  folder: string,
  requests: readonly InjectOptions[],
): Promise<Statement[][]> {
  let statements: Statement[] | undefined
  const log = pino({ level: 'silent' })
  const config = loadConfig({ DATABASE_URL: databaseUrl, DATA_DIR: folder, SECRET_KEY, LOG_LEVEL: 'silent' })
  const onStatement = (text: string, values: unknown[]): void => void statements?.push({ text, values })
  const db = createDb({ url: databaseUrl, poolSize: 2, applicationName: 'souk bench', log, onStatement })
  const souk = await assemble({ config, db, clock: systemClock, log, role: 'api' })
  const recorded: Statement[][] = []
  try {
    for (const request of requests) {
      statements = []
      const response = await souk.app!.inject(request)
      if (response.statusCode >= 400)
        throw new Error(`${JSON.stringify(request.url)} answered ${response.statusCode}: ${response.body}`)
      recorded.push(statements)
    }
    return recorded
  } finally {
    await souk.stop()
    await db.close()
  }
}

/** Keeps recorded statements in a file for a bare reference and returns its path. */
export async function writeStatements(bench: Workbench, recorded: unknown): Promise<string> {
  const file = join(bench.folder, `statements-${randomBytes(4).toString('hex')}.json`)
  await writeFile(file, JSON.stringify(recorded))
  return file
}

export async function onServer<T extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text, values)).rows
  } finally {
    await client.end()
  }
}

/** Uploads a feed file as a background import and waits for its end; returns the seconds it took on the server's clock. */
export async function importFeed(url: string, headers: Record<string, string>, path: string): Promise<number> {
  const { openAsBlob } = await import('node:fs')
  const form = new FormData()
  form.set('file', await openAsBlob(path), 'feed.xml')
  const started = await fetch(`${url}/api/imports/`, { method: 'POST', headers, body: form })
  if (started.status !== 202) throw new Error(`import answered ${started.status}: ${await started.text()}`)
  const { id } = (await started.json()) as { id: string }
  for (;;) {
    const job = (await (await fetch(`${url}/api/imports/${id}/`, { headers })).json()) as {
      state: string
      started: string
      finished: string
    }
    if (job.state === 'succeeded') return (Date.parse(job.finished) - Date.parse(job.started)) / 1000
    if (['failed', 'cancelled'].includes(job.state)) throw new Error(`import ended as ${JSON.stringify(job)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
