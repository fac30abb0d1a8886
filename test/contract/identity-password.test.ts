import { createHash, randomUUID } from 'node:crypto'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import {
  bearer,
  cookieOf,
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

const update = async (id: string, payload: object | string, headers: Record<string, string>) =>
  app.post(`/api/users/${id}/update-password/`, payload, { 'content-type': 'application/json', ...headers })
const unknownIds = [randomUUID(), '17', 'not-a-uuid', '%00', 'x'.repeat(1500)]

describe('POST /api/users/{id}/update-password/', () => {
  const change = { old_password: PASSWORD, new_password: 'a new password' }

  it('changes it, ends every other sign-in and keeps this one', async () => {
    const kept = await app.obtainPair(user)
    const other = await app.obtainPair(user)
    const login = await app.post('/api/login/', { username: user.username, password: PASSWORD })

    const response = await update(user.id, change, bearer(kept.access))

    expect([response.statusCode, response.body]).toEqual([204, ''])
    expect((await app.get('/api/users/me/', bearer(kept.access))).statusCode).toBe(200)
    expect((await app.post('/api/token/refresh/', { refresh: kept.refresh })).statusCode).toBe(200)
    expect((await app.get('/api/users/me/', bearer(other.access))).statusCode).toBe(401)
    expect((await app.post('/api/token/refresh/', { refresh: other.refresh })).statusCode).toBe(401)
    expect((await app.get('/api/users/me/', { cookie: cookieOf(login, 'sessionid') })).statusCode).toBe(401)
    const signIn = (password: string) => app.post('/api/auth/login/', { username: user.username, password })
    expect((await signIn(PASSWORD)).statusCode).toBe(401)
    expect((await signIn('a new password')).statusCode).toBe(200)
  })

  it('answers a repetition under one key like the first time, and keeps no digest that could be guessed', async () => {
    const headers = { ...(await app.as(user)), 'idempotency-key': randomUUID() }

    const first = await update(user.id, change, headers)
    const second = await update(user.id, change, headers)

    expect([first.statusCode, second.statusCode]).toEqual([204, 204])
    expect(second.headers['idempotency-replayed']).toBe('true')
    const [kept] = await app.db.rows<{ fingerprint: Buffer }>(sql`
      SELECT fingerprint FROM idempotency_keys WHERE key = ${headers['idempotency-key']}`)
    const body = createHash('sha256').update(JSON.stringify(change)).digest()
    const guess = createHash('sha256').update(`POST\n/api/users/${user.id}/update-password\n\n`).update(body).digest()
    expect(kept?.fingerprint.equals(guess)).toBe(false)
  })

  it('is recorded with the sign-in that lives on and without the password', async () => {
    await update(user.id, change, await app.as(user))

    const recorded = (await app.changes('identity.password.changed')).filter((row) => row.subject_id === user.id)
    expect(recorded).toEqual([
      {
        topic: 'identity.password.changed',
        subject_id: user.id,
        actor: user.id,
        audience: [`user:${user.id}`, 'staff'],
        data: { user_id: user.id, kept_sign_in_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      },
    ])
  })

  it.each([
    ['no old password', { new_password: 'a new one' }, { old_password: ['This field is required.'] }],
    ['no new password', { old_password: PASSWORD }, { new_password: ['This field is required.'] }],
    ['a wrong old one', { ...change, old_password: 'wrong' }, { old_password: [expect.any(String)] }],
    [
      'a short new one',
      { ...change, new_password: 'abc' },
      { new_password: [expect.stringContaining('minimum of 4')] },
    ],
    ['a blank new one', { ...change, new_password: '      ' }, { new_password: [expect.any(String)] }],
    ['a long new one', { ...change, new_password: 'x'.repeat(129) }, { new_password: [expect.any(String)] }],
    ['a number', { ...change, new_password: 12345 }, { new_password: ['Not a valid string.'] }],
  ])('answers 400 to %s', async (_name, payload, errors) => {
    const response = await update(user.id, payload, await app.as(user))

    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toEqual(errors)
  })

  it.each([
    ['right passwords', change],
    ['wrong ones', { old_password: 'wrong', new_password: 'x' }],
    ['nothing', {}],
  ])("answers 403 to another user's id with %s, to staff as well", async (_name, payload) => {
    expect((await update(user.id, payload, await app.as(stranger))).statusCode).toBe(403)
    expect((await update(user.id, payload, await app.as(staff))).statusCode).toBe(403)
  })

  it.each(unknownIds)('answers 404 to %s', async (id) => {
    expect((await update(encodeURIComponent(id), change, await app.as(user))).statusCode).toBe(404)
  })

  it('answers 401 to nobody', async () => {
    expect((await update(user.id, change, {})).statusCode).toBe(401)
  })

  it('lets one of two simultaneous changes win', async () => {
    const headers = await app.as(user)

    const responses = await Promise.all([
      update(user.id, { ...change, new_password: 'the first' }, headers),
      update(user.id, { ...change, new_password: 'the second' }, headers),
    ])

    expect(statusesOf(responses)).toEqual([204, 400])
  })

  it('leaves no sign-in with the old password that ran beside it', async () => {
    const headers = await app.as(user)
    const signIns = Array.from({ length: 6 }, () =>
      app.post('/api/auth/login/', { username: user.username, password: PASSWORD }),
    )

    const [changed, ...tokens] = await Promise.all([update(user.id, change, headers), ...signIns])

    expect(changed?.statusCode).toBe(204)
    const issued = tokens.filter((response) => response.statusCode === 200).map((response) => response.json().token)
    const statuses = await Promise.all(issued.map((token) => app.get('/api/users/me/', bearer(token))))
    expect(statuses.filter((response) => response.statusCode !== 401)).toEqual([])
  })
})
