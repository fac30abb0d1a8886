import { randomUUID } from 'node:crypto'

import { hash } from '@node-rs/argon2'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'

import { createAuthenticate, ensureOauthClient, identity } from '../../src/modules/identity/index.ts'
import { loadConfig, type Config } from '../../src/platform/config.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { createHttpServer } from '../../src/platform/http/server.ts'
import { movableClock, type MovableClock } from '../support/clock.ts'
import { createTestDatabase } from '../support/database.ts'

export const PASSWORD = 'correct horse'
export const CLIENT = { client_id: 'test-client', client_secret: 'test-secret/+%' }

export interface IdentityApp {
  db: Db
  config: Config
  clock: MovableClock
  /** Texts of the statements sent since the last call. */
  takeStatements(): string[]
  get(url: string, headers?: Headers): Promise<LightMyRequestResponse>
  post(
    url: string,
    payload?: object | string,
    headers?: Headers,
    options?: InjectOptions,
  ): Promise<LightMyRequestResponse>
  send(request: InjectOptions): Promise<LightMyRequestResponse>
  /** A form body. */
  form(url: string, fields: Record<string, string>, headers?: Headers): Promise<LightMyRequestResponse>
  /** A user that exists without having been hashed for; the password is PASSWORD. */
  addUser(columns?: Partial<TestUser>): Promise<TestUser>
  /** JWTs of that user. */
  obtainPair(user: TestUser): Promise<{ access: string; refresh: string }>
  /** Headers that carry a new JWT of that user. */
  as(user: TestUser): Promise<{ authorization: string }>
  changes(topic: string): Promise<RecordedChange[]>
  close(): Promise<void>
}

type Headers = Record<string, string>

export interface TestUser {
  id: string
  username: string
  email: string | null
  first_name: string
  is_active: boolean
  is_staff: boolean
  is_superuser: boolean
}

export interface RecordedChange {
  topic: string
  subject_id: string
  actor: string | null
  audience: string[]
  data: Record<string, unknown>
}

let passwordHash: Promise<string> | undefined

/** The HTTP server with the identity module alone, on a database of its own. */
export async function startIdentityApp(env: Record<string, string> = {}): Promise<IdentityApp> {
  const statements: string[] = []
  const database = await createTestDatabase({ onStatement: (text) => void statements.push(text) })
  const { db } = database
  const config = loadConfig({
    SECRET_KEY: 'a secret for tests only',
    OAUTH_CLIENT_ID: CLIENT.client_id,
    OAUTH_CLIENT_SECRET: CLIENT.client_secret,
    LOG_LEVEL: 'silent',
    ...env,
  })
  const clock = movableClock()
  const log = pino({ level: 'silent' })
  const authenticate = createAuthenticate({ db, config, clock })
  const app = await createHttpServer({ config, db, clock, log, authenticate, version: '0.0.0' })
  identity.routes?.(app)
  await ensureOauthClient({ db, config })

  const send = (request: InjectOptions) => app.inject(request)
  const post: IdentityApp['post'] = (url, payload, headers = {}, options = {}) =>
    send({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }), ...options })
  const obtainPair: IdentityApp['obtainPair'] = async ({ username }) =>
    (await post('/api/token/', { username, password: PASSWORD })).json()
  return {
    db,
    config,
    clock,
    takeStatements: () => statements.splice(0),
    send,
    get: (url, headers = {}) => send({ method: 'GET', url, headers }),
    post,
    form: (url, fields, headers = {}) =>
      send({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        payload: new URLSearchParams(fields).toString(),
      }),
    addUser: (columns = {}) => addUser(db, columns),
    obtainPair,
    as: async (user) => bearer((await obtainPair(user)).access),
    changes: (topic) =>
      db.rows<RecordedChange>(sql`
        SELECT topic, subject_id, actor, audience, data FROM outbox WHERE topic = ${topic} ORDER BY seq`),
    close: async () => {
      await app.close()
      await database.drop()
    },
  }
}

async function addUser(db: Db, columns: Partial<TestUser>): Promise<TestUser> {
  passwordHash ??= hash(PASSWORD, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  const id = randomUUID()
  const username = columns.username ?? `user-${id.slice(0, 8)}x`
  const user = {
    id,
    username,
    email: `${username}@example.com`,
    first_name: 'Ada',
    is_active: true,
    is_staff: false,
    is_superuser: false,
    ...columns,
  }
  const names = [user.username, user.email].filter((name) => name !== null).map((name) => name.toLowerCase())
  await db.transaction(async (tx) => {
    await tx.run(sql`
      INSERT INTO users (id, username, email, password_hash, first_name, is_active, is_staff, is_superuser)
      VALUES (${id}, ${user.username}, ${user.email}, ${await passwordHash}, ${user.first_name}, ${user.is_active},
        ${user.is_staff}, ${user.is_superuser})`)
    await tx.run(sql`INSERT INTO login_names SELECT DISTINCT name, ${id}::uuid FROM unnest(${names}::text[]) AS name`)
  })
  return user
}

/** In ascending order, for requests of which any may come first. */
export function statusesOf(responses: readonly LightMyRequestResponse[]): number[] {
  return responses.map((response) => response.statusCode).toSorted((a, b) => a - b)
}

/** `name=value` of a cookie that an answer sets. */
export function cookieOf(response: LightMyRequestResponse, name: string): string {
  const cookie = response.cookies.find((candidate) => candidate.name === name)
  return `${name}=${cookie?.value ?? ''}`
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` }
}

export function basic(user: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}
