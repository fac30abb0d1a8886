import { pino } from 'pino'

import { loadConfig, type Config } from '../../src/platform/config.ts'
import type { Db } from '../../src/platform/db/db.ts'
import { UnauthenticatedError } from '../../src/platform/errors.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { App } from '../../src/platform/http/app.ts'
import type { Authenticate, Caller } from '../../src/platform/http/caller.ts'
import type { HttpLimits } from '../../src/platform/http/limits.ts'
import { createHttpServer } from '../../src/platform/http/server.ts'
import type { Logger } from '../../src/platform/log.ts'

export interface ToyServerOptions {
  routes?: (app: App) => void
  /** Default: a pool that is never used and never busy. */
  db?: Db
  env?: Record<string, string>
  limits?: Partial<HttpLimits>
  log?: Logger
  authenticate?: Authenticate
}

/** The HTTP platform alone, with routes of the test and `toyAuthenticate` in the place of identity. */
export async function createToyServer(options: ToyServerOptions = {}): Promise<App> {
  const app = await createHttpServer({
    config: toyConfig(options.env),
    db: options.db ?? idleDb,
    clock: systemClock,
    log: options.log ?? pino({ level: 'silent' }),
    authenticate: options.authenticate ?? toyAuthenticate,
    version: '0.1.0',
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  options.routes?.(app)
  await app.ready()
  return app
}

/** Starts listening on a free port of 127.0.0.1. */
export async function listen(app: App): Promise<{ url: string; port: number }> {
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, port: Number(new URL(url).port) }
}

function toyConfig(env: Record<string, string> = {}): Config {
  return loadConfig({ DATA_DIR: '/nonexistent', SECRET_KEY: 'a secret for tests only', LOG_LEVEL: 'silent', ...env })
}

const idleDb: Db = {
  kind: 'db',
  url: '',
  settings: {},
  origin: {},
  rows: async () => [],
  row: async () => undefined,
  run: async () => 0,
  transaction: async () => {
    throw new Error('this server has no database')
  },
  connect: async () => {
    throw new Error('this server has no database')
  },
  close: async () => undefined,
  stats: { total: 0, idle: 0, waiting: 0 },
}

export const alice: Caller = {
  userId: '0193e3a0-0000-7000-8000-00000000000a',
  username: 'alice',
  email: 'alice@example.com',
  isStaff: false,
  isSuperuser: false,
  scopes: ['read', 'write'],
  signInId: '0193e3a0-0000-7000-8000-0000000000a1',
  via: 'token',
}

const callers: Record<string, Caller> = {
  alice,
  bob: { ...alice, userId: '0193e3a0-0000-7000-8000-00000000000b', username: 'bob' },
  reader: { ...alice, scopes: ['read'], via: 'oauth' },
  writer: { ...alice, scopes: ['write'], via: 'oauth' },
  staff: { ...alice, userId: '0193e3a0-0000-7000-8000-00000000000c', username: 'staff', isStaff: true },
}

/** `Token <name>` for the callers above; cookie `sessionid=alice` for a session. */
const toyAuthenticate: Authenticate = async ({ headers }) => {
  if (headers.authorization !== undefined) {
    const caller = callers[headers.authorization.replace(/^\w+ /, '')]
    if (caller === undefined) throw new UnauthenticatedError('Invalid token.')
    return caller
  }
  return headers.cookie?.includes('sessionid=alice') ? { ...alice, via: 'session' } : undefined
}
