import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { ConfigError, loadConfig, type Config } from '../../platform/config.ts'
import type { Db } from '../../platform/db/db.ts'
import { sql } from '../../platform/db/sql.ts'
import { adminFaults, createUserAsOperator, ensureFirstSuperuser, ensureOauthClient } from './index.ts'
import { passwordHashing } from './passwords.ts'
import { digestOf } from './tokens.ts'

let database: TestDatabase
let db: Db
let dataDir: string

beforeAll(async () => {
  database = await createTestDatabase()
  db = database.db
})
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'souk-first-start-'))
  await db.run(sql`TRUNCATE users, oauth_clients CASCADE`)
  return () => rm(dataDir, { recursive: true, force: true })
})
afterAll(() => database.drop())

const configOf = (env: Record<string, string> = {}): Config => loadConfig({ DATA_DIR: dataDir, ...env })
const another = { username: 'another', email: 'another@example.com', password: 'pass' }
const ADMIN = { ADMIN_USERNAME: 'boss', ADMIN_EMAIL: 'boss@example.com', ADMIN_PASSWORD: 'boss password' }

interface AdminRow {
  username: string
  email: string | null
  password_hash: string
  is_staff: boolean
}

const listSuperusers = () =>
  db.rows<AdminRow>(sql`SELECT username, email, password_hash, is_staff FROM users WHERE is_superuser`)

const listClients = () => db.rows<{ id: string; secret_hash: Buffer }>(sql`SELECT id, secret_hash FROM oauth_clients`)

describe('the first superuser', () => {
  it('is made from the settings', async () => {
    const made = await ensureFirstSuperuser({ db, config: configOf(ADMIN), isEmbedded: false })

    expect(made).toEqual({ username: 'boss' })
    const [admin] = await listSuperusers()
    expect(admin).toMatchObject({ username: 'boss', email: 'boss@example.com', is_staff: true })
    expect(await passwordHashing.isRight(admin?.password_hash ?? '', 'boss password')).toBe(true)
  })

  it('gets a random password, kept for the owner, with the embedded database', async () => {
    const made = await ensureFirstSuperuser({ db, config: configOf(), isEmbedded: true })

    expect(made).toMatchObject({ username: 'admin', password: expect.stringMatching(/^.{20,}$/) })
    const [admin] = await listSuperusers()
    expect(admin).toMatchObject({ username: 'admin', email: 'admin@localhost' })
    expect(await passwordHashing.isRight(admin?.password_hash ?? '', made?.password ?? '')).toBe(true)
    const file = made?.passwordFile ?? ''
    expect(await readFile(file, 'utf8')).toContain(made?.password)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it.each([
    ['no name', { ADMIN_PASSWORD: 'boss password' }],
    ['no password', { ADMIN_USERNAME: 'boss' }],
    ['nothing', {}],
  ])('is not made at DATABASE_URL with %s', async (_name, env) => {
    expect(await ensureFirstSuperuser({ db, config: configOf(env), isEmbedded: false })).toBeUndefined()

    expect(await listSuperusers()).toEqual([])
  })

  it('is never changed once there is one', async () => {
    await createUserAsOperator({ db, config: configOf() }, { ...another, role: 'superuser' })

    expect(await ensureFirstSuperuser({ db, config: configOf(ADMIN), isEmbedded: true })).toBeUndefined()

    expect(await listSuperusers()).toHaveLength(1)
  })

  it('is made once by processes that start together', async () => {
    const starts = Array.from({ length: 4 }, () => ensureFirstSuperuser({ db, config: configOf(), isEmbedded: true }))

    const made = (await Promise.all(starts)).filter((superuser) => superuser !== undefined)

    expect(made).toHaveLength(1)
    expect(await listSuperusers()).toHaveLength(1)
    expect(await readFile(made[0]?.passwordFile ?? '', 'utf8')).toContain(made[0]?.password)
  })

  it('has its faults listed with those of the other settings', () => {
    const env = { ADMIN_USERNAME: 'two words', ADMIN_EMAIL: 'nobody', PORT: 'eighty' }

    expect(() => loadConfig(env, adminFaults)).toThrow(/PORT[^]*ADMIN_USERNAME: [^]*ADMIN_EMAIL: /)
    expect(loadConfig({}, adminFaults).admin.username).toBeUndefined()
  })

  it.each([
    [{ ...ADMIN, ADMIN_USERNAME: 'two words' }, 'ADMIN_USERNAME'],
    [{ ...ADMIN, ADMIN_EMAIL: 'nobody' }, 'ADMIN_EMAIL'],
    [{ ...ADMIN, PASSWORD_MIN_LENGTH: '20' }, 'ADMIN_PASSWORD'],
    [{ ...ADMIN, ADMIN_USERNAME: another.username }, 'ADMIN_USERNAME'],
  ])('is refused with the name of the setting that is wrong: %#', async (env, name) => {
    await createUserAsOperator({ db, config: configOf() }, { ...another, role: 'user' })
    const start = ensureFirstSuperuser({ db, config: configOf(env), isEmbedded: false })

    await expect(start).rejects.toThrow(ConfigError)
    await expect(start).rejects.toThrow(name)
  })
})

describe('the first OAuth2 client', () => {
  it('gets the secret of the settings, a changed one too', async () => {
    await ensureOauthClient({ db, config: configOf({ OAUTH_CLIENT_SECRET: 'first' }) })
    await ensureOauthClient({ db, config: configOf({ OAUTH_CLIENT_SECRET: 'second' }) })

    expect(await listClients()).toEqual([{ id: 'souk-cli', secret_hash: digestOf('second') }])
  })

  it('gets a generated secret once, kept in the data folder', async () => {
    await Promise.all([1, 2, 3].map(() => ensureOauthClient({ db, config: configOf() })))

    const kept = await readFile(join(dataDir, 'secrets', 'oauth-client-secret'), 'utf8')
    expect(await listClients()).toEqual([{ id: 'souk-cli', secret_hash: digestOf(kept.trim()) }])
  })

  it('keeps its secret when another machine has none', async () => {
    await ensureOauthClient({ db, config: configOf({ OAUTH_CLIENT_SECRET: 'first' }) })

    await ensureOauthClient({ db, config: configOf() })

    expect(await listClients()).toEqual([{ id: 'souk-cli', secret_hash: digestOf('first') }])
  })
})
