import { randomUUID } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { loadConfig } from '../../platform/config.ts'
import type { Caller } from '../../platform/http/caller.ts'
import { sql } from '../../platform/db/sql.ts'
import { deleteAccount } from './accounts.ts'
import { createUserAsOperator, listAdminRecipients, onUserDeleted, usersByIds, type DeletedUser } from './index.ts'

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

const callerOf = (userId: string): Caller => ({
  userId,
  username: 'any',
  email: null,
  isStaff: false,
  isSuperuser: false,
  scopes: ['read', 'write'],
  signInId: null,
  via: 'token',
})

it('finds live users by id, all at once', async () => {
  const [ada, gone] = [await add('ada'), await add('gone')]
  await database.db.transaction((tx) => deleteAccount(tx, callerOf(gone.id), gone.id, new Date()))

  const users = await usersByIds(database.db, [ada.id, gone.id, randomUUID()])

  expect([...users.keys()]).toEqual([ada.id])
  expect(users.get(ada.id)).toMatchObject({ username: 'ada', email: 'ada@example.com' })
  expect(users.get(ada.id)).not.toHaveProperty('passwordHash')
  expect(await usersByIds(database.db, [])).toEqual(new Map())
})

it('lists as admins those who are superuser and staff, active and reachable', async () => {
  const admin = await add('admin', 'superuser')
  const [off, half] = [await add('off', 'superuser'), await add('half', 'superuser')]
  await add('mute', 'superuser', null)
  await add('staff', 'staff')
  await database.db.run(sql`UPDATE users SET is_active = false WHERE id = ${off.id}`)
  await database.db.run(sql`UPDATE users SET is_staff = false WHERE id = ${half.id}`)

  expect(await listAdminRecipients(database.db)).toEqual([
    { id: admin.id, username: 'admin', email: 'admin@example.com' },
  ])
})

describe('what other modules do when a user is deleted', () => {
  it('happens in the same transaction, once, and can stop it', async () => {
    const user = await add('watched')
    const heard: DeletedUser[] = []
    const handler = async (_tx: unknown, deleted: DeletedUser) => {
      if (deleted.id === user.id) heard.push(deleted)
      if (heard.length === 1) throw new Error('not yet')
    }
    onUserDeleted(handler)
    onUserDeleted(handler)
    const remove = () => database.db.transaction((tx) => deleteAccount(tx, callerOf(user.id), user.id, new Date()))

    await expect(remove()).rejects.toThrow('not yet')
    expect((await usersByIds(database.db, [user.id])).size).toBe(1)
    await remove()

    expect(heard).toEqual([
      { id: user.id, actor: user.id },
      { id: user.id, actor: user.id },
    ])
    expect((await usersByIds(database.db, [user.id])).size).toBe(0)
  })
})
