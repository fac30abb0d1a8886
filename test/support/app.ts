import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'

import { assemble, type Role, type Souk } from '../../src/app.ts'
import type { App } from '../../src/platform/http/app.ts'
import { systemClock, type Clock } from '../../src/platform/clock.ts'
import { loadConfig, type Config } from '../../src/platform/config.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import type { Logger } from '../../src/platform/log.ts'
import { capturedRows } from '../../src/stream/index.ts'
import { createTestDatabase } from './database.ts'
import { createOpenApiGuard } from './openapi-guard.ts'

export interface TestUser {
  userId: string
  username: string
  email: string
  password: string
  /** An API token; `headers` carries it. */
  token: string
  headers: { authorization: string }
}

export interface TestApp {
  app: App
  souk: Souk
  db: Db
  databaseUrl: string
  config: Config
  log: Logger
  dataDir: string
  inject(request: InjectOptions): Promise<LightMyRequestResponse>
  /** Starts listening on a free port and returns the base URL, such as `http://127.0.0.1:40123`. */
  listen(): Promise<string>
  signUp(name?: string): Promise<TestUser>
  /** A signed-up user made staff; `superuser` as well when asked. */
  staff(options?: { superuser?: boolean }): Promise<TestUser>
  /** Waits until every committed change has been sequenced and every subscriber has caught up. */
  drain(): Promise<void>
  close(): Promise<void>
}

export interface TestAppOptions {
  env?: Record<string, string>
  role?: Role
  clock?: Clock
  log?: Logger
  poolSize?: number
  onStatement?: (text: string, values: unknown[]) => void
}

/** The complete server on a database and data folder of its own, with all services running; `close` in `afterAll`. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = await createTestDatabase({
    settings: capturedRows({ redisUrl: options.env?.REDIS_URL }),
    ...(options.poolSize === undefined ? {} : { poolSize: options.poolSize }),
    ...(options.onStatement === undefined ? {} : { onStatement: options.onStatement }),
  })
  const dataDir = await mkdtemp(join(tmpdir(), 'souk-data-'))
  const config = loadConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    SECRET_KEY: 'a secret for tests only',
    LOG_LEVEL: 'silent',
    ...options.env,
  })
  const log = options.log ?? pino({ level: 'silent' })
  const clock = options.clock ?? systemClock
  const souk = await assemble({ config, db: database.db, clock, log, role: options.role ?? 'serve' })
  if (souk.app === undefined) throw new Error('a test app needs a role that serves HTTP')
  const app = souk.app
  await souk.start()

  const guard = createOpenApiGuard(app.openapi())

  /** Every answer of the suite passes through the published OpenAPI document. */
  async function inject(request: InjectOptions): Promise<LightMyRequestResponse> {
    const response = await app.inject(request)
    guard({
      method: request.method ?? 'GET',
      url: typeof request.url === 'string' ? request.url : JSON.stringify(request.url),
      status: response.statusCode,
      headers: response.headers,
      body: response.body,
    })
    return response
  }

  const signUp = (name?: string): Promise<TestUser> => signUpUser(inject, name)

  return {
    app,
    souk,
    db: database.db,
    databaseUrl: database.url,
    config,
    log,
    dataDir,
    inject,
    listen: async () => souk.address ?? '',
    signUp,
    staff: async ({ superuser = false } = {}) => promote(database.db, await signUp(), superuser),
    drain: () => drain(souk, database.db),
    close: async () => {
      await souk.stop()
      await database.drop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function signUpUser(inject: TestApp['inject'], given?: string): Promise<TestUser> {
  const username = given ?? `user-${randomBytes(5).toString('hex')}`
  const email = `${username}@example.com`
  const password = `pw-${username}`
  await inject({ method: 'POST', url: '/api/auth/signup/', payload: { username, email, password } })
  const login = await inject({ method: 'POST', url: '/api/auth/login/', payload: { username, password } })
  const { token } = login.json<{ token: string }>()
  const headers = { authorization: `Token ${token}` }
  const me = await inject({ method: 'GET', url: '/api/users/me/', headers })
  return { userId: me.json<{ id: string }>().id, username, email, password, token, headers }
}

async function promote(db: Db, user: TestUser, superuser: boolean): Promise<TestUser> {
  await db.run(sql`UPDATE users SET is_staff = true, is_superuser = ${superuser} WHERE id = ${user.userId}`)
  return user
}

const DRAIN_LIMIT_MS = 15_000

async function drain(souk: Souk, db: Db): Promise<void> {
  const marker = await db.row<{ seq: number }>(sql`SELECT coalesce(max(seq), 0) AS seq FROM outbox`)
  const until = Date.now() + DRAIN_LIMIT_MS
  while (Date.now() < until) {
    if (await souk.changeLog.isDrained(marker?.seq ?? 0)) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('the change log did not come to rest')
}
