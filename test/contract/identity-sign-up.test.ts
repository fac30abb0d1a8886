import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { bearer, startIdentityApp, statusesOf, type IdentityApp } from './identity-app.ts'

let app: IdentityApp

beforeAll(async () => {
  app = await startIdentityApp()
  await app.addUser({ username: 'taken', email: 'taken@example.com' })
  await app.addUser({ username: 'as-mail@example.com', email: null })
})
afterAll(() => app.close())

const full = (name: string) => ({
  first_name: 'Ada',
  last_name: 'Lovelace',
  username: name,
  email: `${name}@example.com`,
  password: 'a good password',
})

describe('POST /api/auth/signup/', () => {
  it('creates the user, signs in and answers both tokens', async () => {
    const response = await app.post('/api/auth/signup/', {
      email: 'New@example.com',
      password: 'pass',
      username: 'new',
    })

    const body = response.json()
    expect(response.statusCode).toBe(201)
    expect(body).toEqual({
      message: 'User created successfully',
      access: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      refresh: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      user: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        username: 'new',
        email: 'New@example.com',
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        updated_at: expect.stringMatching(/\.\d{6}Z$/),
      },
    })
    const me = await app.get('/api/users/me/', bearer(body.access))
    expect(me.json()).toMatchObject({ id: body.user.id, username: 'new' })
  })

  it('takes the e-mail as user name when there is none, whatever characters it has', async () => {
    const email = "o'brien&sons@example.com"

    const response = await app.post('/api/auth/signup', { email, password: 'pass' })

    expect(response.statusCode).toBe(201)
    expect(response.json().user).toMatchObject({ username: email, email })
  })

  it('ignores members that the server assigns', async () => {
    const roles = { is_staff: true, is_superuser: true, is_active: false, id: 'mine', date_joined: 'never' }

    const response = await app.post('/api/auth/signup/', { email: 'roles@example.com', password: 'pass', ...roles })

    expect(response.statusCode).toBe(201)
    const token = bearer(response.json().access)
    const deletion = await app.send({ method: 'DELETE', url: `/api/user/${response.json().user.id}/`, headers: token })
    expect(deletion.statusCode).toBe(200)
  })

  it('records the sign-up for the user and staff, without address or secret', async () => {
    const response = await app.post('/api/auth/signup/', {
      email: 'heard@example.com',
      password: 'pass',
      username: 'heard',
    })

    const { id } = response.json().user
    const created = (await app.changes('identity.user.created')).filter((change) => change.subject_id === id)
    expect(created).toEqual([
      {
        topic: 'identity.user.created',
        subject_id: id,
        actor: id,
        audience: [`user:${id}`, 'staff'],
        data: { user_id: id, username: 'heard' },
      },
    ])
  })

  it.each([
    ['no e-mail', { password: 'pass' }, { email: ['This field is required.'] }],
    ['no password', { email: 'x@example.com' }, { password: ['This field is required.'] }],
    ['nothing', {}, { email: ['This field is required.'], password: ['This field is required.'] }],
    ['no @', { email: 'example.com', password: 'pass' }, { email: ['Enter a valid email address.'] }],
    ['two @', { email: 'a@b@example.com', password: 'pass' }, { email: ['Enter a valid email address.'] }],
    ['a list of addresses', { email: 'a@b.com,c', password: 'pass' }, { email: ['Enter a valid email address.'] }],
    [
      'a long e-mail',
      { email: `${'a'.repeat(250)}@b.co`, password: 'pass' },
      { email: ['Enter a valid email address.'] },
    ],
    ['a number', { email: 5, password: 'pass' }, { email: ['Not a valid string.'] }],
    ['null', { email: null, password: 'pass' }, { email: ['This field may not be null.'] }],
    [
      'a short password',
      { email: 'x@example.com', password: 'abc' },
      { password: ['Password should have a minimum of 4 characters.'] },
    ],
    ['blanks', { email: 'x@example.com', password: '     ' }, { password: ['This field may not be blank.'] }],
    [
      'a long password',
      { email: 'x@example.com', password: 'x'.repeat(129) },
      { password: ['Ensure this field has no more than 128 characters.'] },
    ],
    [
      'an empty user name',
      { email: 'x@example.com', password: 'pass', username: '' },
      { username: [expect.any(String)] },
    ],
    ['a space', { email: 'x@example.com', password: 'pass', username: 'a b' }, { username: [expect.any(String)] }],
    [
      'a long user name',
      { email: 'x@example.com', password: 'pass', username: 'x'.repeat(151) },
      { username: ['Ensure this field has no more than 150 characters.'] },
    ],
    [
      'a user name like a UUID',
      { email: 'x@example.com', password: 'pass', username: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47' },
      { username: ['A username may not look like a UUID.'] },
    ],
    [
      'a long first name',
      { email: 'x@example.com', password: 'pass', first_name: 'x'.repeat(51) },
      { first_name: ['Ensure this field has no more than 50 characters.'] },
    ],
    ['NUL', { email: 'x@example.com', password: 'pa\0ss' }, { password: [expect.any(String)] }],
  ])('refuses %s', async (_name, payload, errors) => {
    const response = await app.post('/api/auth/signup/', payload)

    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toEqual(errors)
    expect(response.headers['content-type']).toMatch('application/problem+json')
  })

  it.each([
    ['not JSON', '{"email":'],
    ['an array', '[]'],
    ['a text', '"text"'],
    ['null', 'null'],
    ['__proto__', '{"email":"p@example.com","password":"pass","__proto__":{"is_staff":true}}'],
  ])('answers 400 to a body that is %s', async (_name, payload) => {
    const response = await app.post('/api/auth/signup/', payload, { 'content-type': 'application/json' })

    expect(response.statusCode).toBe(400)
  })

  it('counts characters, not bytes', async () => {
    const response = await app.post('/api/auth/signup/', {
      email: 'long@example.com',
      password: '𝒳'.repeat(128),
      username: 'é'.repeat(150),
      first_name: '𝒳'.repeat(50),
    })

    expect(response.statusCode).toBe(201)
  })

  it.each([
    ['the e-mail in another case', { email: 'TAKEN@EXAMPLE.COM', password: 'pass', username: 'free1' }, ['email']],
    [
      'the user name in another case',
      { email: 'free2@example.com', password: 'pass', username: 'TAKEN' },
      ['username'],
    ],
    ['both', { email: 'taken@example.com', password: 'pass', username: 'taken' }, ['email', 'username']],
    [
      'a user name that is an e-mail',
      { email: 'f3@example.com', password: 'pass', username: 'taken@example.com' },
      ['username'],
    ],
    ['an e-mail that is a user name', { email: 'as-mail@example.com', password: 'pass', username: 'free4' }, ['email']],
  ])('refuses %s of another user', async (_name, payload, fields) => {
    const response = await app.post('/api/auth/signup/', payload)

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json().errors).toSorted()).toEqual(fields)
  })

  it('makes one user out of many simultaneous sign-ups with one e-mail', async () => {
    const attempts = Array.from({ length: 8 }, (_, index) =>
      app.post('/api/auth/signup/', { email: 'Race@example.com', username: `racer-${index}`, password: 'pass' }),
    )

    const statuses = statusesOf(await Promise.all(attempts))

    expect(statuses).toEqual([201, 400, 400, 400, 400, 400, 400, 400])
  })

  it('makes one user when one wants as user name what another wants as e-mail', async () => {
    const attempts = [
      app.post('/api/auth/signup/', {
        email: 'cross-a@example.com',
        username: 'cross-b@example.com',
        password: 'pass',
      }),
      app.post('/api/auth/signup/', {
        email: 'cross-b@example.com',
        username: 'cross-a@example.com',
        password: 'pass',
      }),
    ]

    const statuses = statusesOf(await Promise.all(attempts))

    expect(statuses).toEqual([201, 400])
  })
})

describe('POST /api/users/', () => {
  it('creates a user and names its place', async () => {
    const response = await app.post('/api/users/', full('ada'))

    const body = response.json()
    expect(response.statusCode).toBe(201)
    expect(response.headers['location']).toBe(`/api/users/${body.id}/`)
    expect(body).toEqual({
      id: expect.any(String),
      username: 'ada',
      email: 'ada@example.com',
      first_name: 'Ada',
      last_name: 'Lovelace',
      date_joined: expect.stringMatching(/\.\d{6}Z$/),
    })
  })

  it.each(['first_name', 'last_name', 'username', 'email', 'password'])('requires %s', async (field) => {
    const response = await app.post('/api/users/', { ...full('missing'), [field]: undefined })

    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toEqual({ [field]: ['This field is required.'] })
  })

  it.each([
    ['first_name', ''],
    ['first_name', 'x'.repeat(51)],
    ['last_name', '  '],
    ['last_name', 'x'.repeat(51)],
    ['username', 'x'.repeat(51)],
    ['email', 'nobody'],
    ['password', 'x'.repeat(51)],
    ['password', 'abc'],
    ['password', 7],
  ])('refuses %s %j', async (field, value) => {
    const response = await app.post('/api/users/', { ...full('faulty'), [field]: value })

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json().errors)).toEqual([field])
  })

  it('refuses what is taken and creates nothing', async () => {
    await app.post('/api/users/', full('twice'))

    const response = await app.post('/api/users/', { ...full('twice'), email: 'other@example.com' })

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({
      error: 'A user with that username already exists.',
      errors: { username: ['A user with that username already exists.'] },
    })
    const again = await app.post('/api/users/', { ...full('thrice'), email: 'other@example.com' })
    expect(again.statusCode).toBe(201)
  })
})
