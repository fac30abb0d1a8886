import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { pino } from 'pino'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { loadConfig } from '../../platform/config.ts'
import { sql } from '../../platform/db/sql.ts'
import { newId } from '../../platform/ids.ts'
import { failureCleanUp, tokenCleanUp } from './clean-up.ts'

let database: TestDatabase
const now = new Date('2026-01-31T12:00:00Z')
const lines: Record<string, unknown>[] = []

beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  lines.length = 0
  await database.db.run(sql`TRUNCATE users, sign_in_failures CASCADE`)
})
afterAll(() => database.drop())

const context = () => ({
  db: database.db,
  config: loadConfig({ TOKEN_CLEANUP_INTERVAL_SECONDS: '7' }),
  clock: { now: () => now },
  log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
})

async function addUser(): Promise<string> {
  const id = newId()
  await database.db.run(sql`INSERT INTO users (id, username, password_hash) VALUES (${id}, ${id}, 'x')`)
  return id
}

interface Age {
  expires: string | null
  revoked?: boolean
}

async function addSignIn(userId: string, { expires, revoked = false }: Age): Promise<string> {
  const id = newId()
  await database.db.run(sql`
    INSERT INTO sign_ins (id, user_id, kind, expires_at, revoked_at)
    VALUES (${id}, ${userId}, 'jwt', ${expires}, ${revoked ? now : null})`)
  return id
}

async function addCredential(signInId: string, expires: string | null, spent = false): Promise<void> {
  await database.db.run(sql`
    INSERT INTO credentials (digest, kind, sign_in_id, scopes, expires_at, spent_at)
    VALUES (sha256(${newId()}::text::bytea), 'jwt-refresh', ${signInId}, '{read}', ${expires}, ${spent ? now : null})`)
}

const count = async (table: 'sign_ins' | 'credentials' | 'sign_in_failures') =>
  (await database.db.row<{ n: number }>(
    table === 'sign_ins'
      ? sql`SELECT count(*) AS n FROM sign_ins`
      : table === 'credentials'
        ? sql`SELECT count(*) AS n FROM credentials`
        : sql`SELECT count(*) AS n FROM sign_in_failures`,
  ))!.n

const PAST = '2026-01-31T11:59:59Z'
const FUTURE = '2026-01-31T12:00:01Z'

it('deletes what can never be valid again, keeps the rest, and says how much went', async () => {
  const userId = await addUser()
  const live = await addSignIn(userId, { expires: FUTURE })
  await addCredential(live, FUTURE)
  await addCredential(live, FUTURE, true)
  await addCredential(live, PAST)
  await addCredential(live, PAST, true)
  await addCredential(await addSignIn(userId, { expires: null }), null)
  await addCredential(await addSignIn(userId, { expires: FUTURE, revoked: true }), FUTURE)
  await addCredential(await addSignIn(userId, { expires: PAST }), PAST)

  await tokenCleanUp(context()).run()

  expect(await count('sign_ins')).toBe(2)
  expect(await count('credentials')).toBe(3)
  expect(lines).toMatchObject([{ credentials: 2, signIns: 2 }])
})

it('changes nothing when it runs again, or in two processes at once', async () => {
  const userId = await addUser()
  const live = await addSignIn(userId, { expires: FUTURE })
  await addCredential(live, FUTURE)
  for (let index = 0; index < 20; index++) await addCredential(live, PAST)

  await Promise.all([tokenCleanUp(context()).run(), tokenCleanUp(context()).run()])
  await tokenCleanUp(context()).run()

  expect(await count('credentials')).toBe(1)
  const total = lines.reduce((sum, line) => sum + Number(line['credentials']), 0)
  expect(total).toBe(20)
})

it('works through more rows than one batch holds', async () => {
  const signInId = await addSignIn(await addUser(), { expires: FUTURE })
  await database.db.run(sql`
    INSERT INTO credentials (digest, kind, sign_in_id, scopes, expires_at)
    SELECT sha256(n::text::bytea), 'session', ${signInId}, '{read}', ${PAST} FROM generate_series(1, 2500) AS n`)

  await tokenCleanUp(context()).run()

  expect(await count('credentials')).toBe(0)
})

it('runs as often as the setting says', () => {
  expect(tokenCleanUp(context()).everySeconds).toBe(7)
})

it('deletes counters of failures that have left the window', async () => {
  await database.db.run(sql`
    INSERT INTO sign_in_failures (subject, address, times, last_at) VALUES
      ('old', 'a', ARRAY['2026-01-31T11:54:59Z'::timestamptz], '2026-01-31T11:54:59Z'),
      ('new', 'a', ARRAY['2026-01-31T11:55:01Z'::timestamptz], '2026-01-31T11:55:01Z')`)

  await failureCleanUp(context()).run()

  expect(await database.db.rows(sql`SELECT subject FROM sign_in_failures`)).toEqual([{ subject: 'new' }])
})
