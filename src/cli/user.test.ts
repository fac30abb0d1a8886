import { randomUUID } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { createUser, setPassword } from './user.ts'
import { UsageError } from './command.ts'
import { loadConfig } from '../platform/config.ts'
import { sql } from '../platform/db/sql.ts'
import { createUserAsOperator } from '../modules/identity/index.ts'

let database: TestDatabase
const config = loadConfig({})

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const add = (
  username: string,
  role: 'user' | 'staff' | 'superuser' = 'user',
  email: string | null = `${username}@example.com`,
) => createUserAsOperator({ db: database.db, config }, { username, email, password: 'pass', role })

describe('souk user', () => {
  it('creates a user with a role and shows a password that it made up', async () => {
    const context = { db: database.db, config }

    const made = await createUser(context, { username: 'clerk', email: null, role: 'staff' })
    const given = await createUser(context, { username: 'chief', email: null, role: 'superuser', password: 'chosen' })

    expect(made).toMatch(/^Created staff "clerk" \([0-9a-f-]{36}\) with the password \S{16}\.$/)
    expect(given).not.toContain('chosen')
    const rows = await database.db.rows(sql`
      SELECT username, is_staff, is_superuser FROM users WHERE username IN ('clerk', 'chief') ORDER BY username`)
    expect(rows).toEqual([
      { username: 'chief', is_staff: true, is_superuser: true },
      { username: 'clerk', is_staff: true, is_superuser: false },
    ])
  })

  it('says in one line what is wrong', async () => {
    const context = { db: database.db, config }
    await add('present')

    const taken = createUser(context, { username: 'Present', email: null, role: 'user', password: 'pass' })

    await expect(taken).rejects.toThrow(UsageError)
    await expect(taken).rejects.toThrow('username: A user with that username already exists.')
    await expect(setPassword(context, 'nobody', 'pass')).rejects.toThrow('There is no user "nobody".')
    await expect(setPassword(context, 'present', 'x')).rejects.toThrow('password: Password should have')
  })

  it('sets a password and ends every sign-in', async () => {
    const user = await add('forgetful')
    await database.db.run(sql`INSERT INTO sign_ins (id, user_id, kind) VALUES (${randomUUID()}, ${user.id}, 'token')`)

    const told = await setPassword({ db: database.db, config }, 'FORGETFUL@example.com')

    expect(told).toMatch(/"forgetful" has a new password: \S{16}\./)
    const left = await database.db.rows(sql`SELECT 1 FROM sign_ins WHERE user_id = ${user.id} AND revoked_at IS NULL`)
    expect(left).toEqual([])
  })
})
