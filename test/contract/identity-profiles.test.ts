import { randomUUID } from 'node:crypto'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import {
  basic,
  bearer,
  PASSWORD,
  startIdentityApp,
  statusesOf,
  type IdentityApp,
  type TestUser,
} from './identity-app.ts'

let app: IdentityApp
let user: TestUser
let stranger: TestUser
let staff: TestUser

beforeAll(async () => {
  app = await startIdentityApp()
  stranger = await app.addUser()
  staff = await app.addUser({ is_staff: true })
})
beforeEach(async () => {
  user = await app.addUser()
})
afterAll(() => app.close())

const put = async (id: string, payload: object, who: TestUser) =>
  app.send({ method: 'PUT', url: `/api/user/${id}/`, payload, headers: await app.as(who) })
const remove = async (id: string, who: TestUser) =>
  app.send({ method: 'DELETE', url: `/api/user/${id}/`, headers: await app.as(who) })

const unknownIds = [randomUUID(), '17', 'not-a-uuid', '%00', 'x'.repeat(1500), "'; DROP TABLE users; --"]

describe('GET /api/users/{id}/', () => {
  it.each(['id', 'me'])('shows the own profile in full by %s', async (which) => {
    const response = await app.get(`/api/users/${which === 'me' ? 'me' : user.id}/`, await app.as(user))

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      id: user.id,
      username: user.username,
      first_name: 'Ada',
      last_name: '',
      email: user.email,
      date_joined: expect.stringMatching(/\.\d{6}Z$/),
    })
  })

  it('shows the public part of anybody else, to staff as well', async () => {
    const open = { id: user.id, username: user.username, date_joined: expect.any(String) }

    expect((await app.get(`/api/users/${user.id}`, await app.as(stranger))).json()).toEqual(open)
    expect((await app.get(`/api/users/${user.id}`, await app.as(staff))).json()).toEqual(open)
  })

  it.each(unknownIds)('answers 404 to %s', async (id) => {
    const response = await app.get(`/api/users/${encodeURIComponent(id)}/`, await app.as(user))

    expect(response.statusCode).toBe(404)
  })

  it('answers 404 for a deleted user and 401 to nobody', async () => {
    await remove(user.id, user)

    expect((await app.get(`/api/users/${user.id}/`, await app.as(stranger))).statusCode).toBe(404)
    expect((await app.get(`/api/users/${user.id}/`)).statusCode).toBe(401)
  })
})

describe('/api/user/{user_id}/', () => {
  it('shows everything to the user and staff, less to others', async () => {
    const all = {
      id: user.id,
      username: user.username,
      email: user.email,
      created_at: expect.stringMatching(/\.\d{6}Z$/),
      updated_at: expect.stringMatching(/\.\d{6}Z$/),
    }

    const get = async (who: TestUser) => (await app.get(`/api/user/${user.id}/`, await app.as(who))).json()

    expect(await get(user)).toEqual({ user: all })
    expect(await get(staff)).toEqual({ user: all })
    expect(await get(stranger)).toEqual({ user: { ...all, email: null, updated_at: null } })
  })

  it('changes what is sent and keeps the rest', async () => {
    const before = (await app.get(`/api/user/${user.id}/`, await app.as(user))).json().user

    const response = await put(user.id, { first_name: 'Grace', email: `new-${user.email}` }, user)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      message: 'User updated successfully',
      user: { ...before, email: `new-${user.email}`, updated_at: expect.any(String) },
    })
    expect(response.json().user.updated_at > before.updated_at).toBe(true)
    const me = (await app.get('/api/users/me/', await app.as(user))).json()
    expect(me).toMatchObject({ first_name: 'Grace', username: user.username })
    const updated = (await app.changes('identity.user.updated')).find((change) => change.subject_id === user.id)
    expect(updated?.data).toEqual({ user_id: user.id, username: user.username, fields: ['email', 'first_name'] })
  })

  it('leaves no trace of a change that changes nothing', async () => {
    const response = await put(user.id, { username: user.username, is_staff: true, id: randomUUID() }, user)

    expect(response.statusCode).toBe(200)
    const updates = await app.changes('identity.user.updated')
    expect(updates.filter((change) => change.subject_id === user.id)).toEqual([])
    const row = await app.db.row(sql`SELECT is_staff FROM users WHERE id = ${user.id}`)
    expect(row).toEqual({ is_staff: false })
  })

  it('renames a user, whose old names become free', async () => {
    const name = `renamed-${user.username}`
    await put(user.id, { username: name }, user)

    const taker = await put(stranger.id, { username: user.username.toUpperCase() }, stranger)

    expect(taker.statusCode).toBe(200)
    expect((await app.post('/api/auth/login/', { username: name, password: PASSWORD })).statusCode).toBe(200)
    stranger = { ...stranger, username: user.username }
  })

  it('may use the own e-mail as user name, and change the case of a name', async () => {
    expect((await put(user.id, { username: user.email ?? '' }, user)).statusCode).toBe(200)
    user = { ...user, username: user.email ?? '' }
    expect((await put(user.id, { username: user.username.toUpperCase() }, user)).statusCode).toBe(200)
  })

  it('lets staff change another user', async () => {
    const response = await put(user.id, { first_name: 'By staff' }, staff)

    expect(response.statusCode).toBe(200)
    expect(response.json().user.email).toBe(user.email)
  })

  it.each([
    ['a malformed e-mail', { email: 'nobody' }, 'email'],
    ['an empty e-mail', { email: '' }, 'email'],
    ['null', { email: null }, 'email'],
    ['an empty user name', { username: '' }, 'username'],
    ['a user name like a UUID', { username: randomUUID() }, 'username'],
    ['a long user name', { username: 'x'.repeat(151) }, 'username'],
    ['a number', { first_name: 1 }, 'first_name'],
    ['a long name', { last_name: 'x'.repeat(151) }, 'last_name'],
  ])('answers 400 to %s', async (_name, payload, field) => {
    const response = await put(user.id, payload, user)

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json().errors)).toEqual([field])
  })

  it('answers 400 to names of another user, whichever kind they are', async () => {
    expect((await put(user.id, { username: staff.username.toUpperCase() }, user)).json().errors).toHaveProperty(
      'username',
    )
    expect((await put(user.id, { username: staff.email ?? '' }, user)).json().errors).toHaveProperty('username')
    expect((await put(user.id, { email: staff.email ?? '' }, user)).json().errors).toHaveProperty('email')
  })

  it('answers 403 to a stranger, whatever the body', async () => {
    expect((await put(user.id, { first_name: 'Eve' }, stranger)).statusCode).toBe(403)
    expect((await put(user.id, { first_name: 5 }, stranger)).statusCode).toBe(403)
    expect((await remove(user.id, stranger)).statusCode).toBe(403)
  })

  it.each(['GET', 'PUT', 'DELETE'] as const)('answers 401 to %s by nobody', async (method) => {
    expect((await app.send({ method, url: `/api/user/${user.id}/` })).statusCode).toBe(401)
  })

  it.each(unknownIds)('answers 404 with its own text to %s', async (id) => {
    const headers = await app.as(user)
    const url = `/api/user/${encodeURIComponent(id)}`

    const responses = await Promise.all([
      app.send({ method: 'GET', url, headers }),
      app.send({ method: 'PUT', url, headers, payload: { first_name: 'x' } }),
      app.send({ method: 'PUT', url, headers, payload: { first_name: 1 } }),
      app.send({ method: 'DELETE', url, headers }),
    ])

    expect(responses.map((response) => [response.statusCode, response.json().detail])).toEqual(
      Array.from({ length: 4 }, () => [404, 'No user found']),
    )
  })
})

describe('deleting a user', () => {
  it('ends every sign-in and frees both names for somebody else', async () => {
    const pair = await app.obtainPair(user)

    const response = await remove(user.id, user)

    expect([response.statusCode, response.json()]).toEqual([200, { message: 'User deleted successfully' }])
    expect((await app.get('/api/users/me/', bearer(pair.access))).statusCode).toBe(401)
    expect((await app.get('/api/users/me/', basic(user.username, PASSWORD))).statusCode).toBe(401)
    const again = await app.post('/api/auth/signup/', { username: user.username, email: user.email, password: 'pass' })
    expect(again.statusCode).toBe(201)
    expect(again.json().user.id).not.toBe(user.id)
    const row = await app.db.row(sql`SELECT is_active, deleted IS NOT NULL AS gone FROM users WHERE id = ${user.id}`)
    expect(row).toEqual({ is_active: false, gone: true })
  })

  it('can be done by staff, once', async () => {
    expect((await remove(user.id, staff)).statusCode).toBe(200)
    expect((await remove(user.id, staff)).statusCode).toBe(404)

    const recorded = (await app.changes('identity.user.deleted')).filter((change) => change.subject_id === user.id)
    expect(recorded).toMatchObject([{ actor: staff.id, audience: [`user:${user.id}`, 'staff'] }])
  })

  it('happens once when it is asked for twice at once', async () => {
    const responses = await Promise.all([remove(user.id, staff), remove(user.id, staff)])

    expect(statusesOf(responses)).toEqual([200, 404])
  })
})
