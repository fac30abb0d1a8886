import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { basic, bearer, cookieOf, PASSWORD, startIdentityApp, statusesOf, type IdentityApp } from './identity-app.ts'

let app: IdentityApp

beforeAll(async () => {
  app = await startIdentityApp()
  await app.addUser({ username: 'taken', email: 'taken@example.com' })
})
afterAll(() => app.close())

const login = (username: string, password = PASSWORD) => app.post('/login/', { username, password })

describe('POST /signup/', () => {
  it.each(['json', 'form'])('creates a user from a %s body and hands out no token', async (kind) => {
    const fields = { username: `new-${kind}`, email: `new-${kind}@example.com`, password: ' pw ', first_name: 'Ada' }

    const response = kind === 'json' ? await app.post('/signup/', fields) : await app.form('/signup', fields)

    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({ message: 'Signed up successfully!' })
    expect((await login(`new-${kind}`, ' pw ')).statusCode).toBe(200)
    expect((await login(`new-${kind}`, 'pw')).statusCode).toBe(400)
  })

  it.each([
    [
      'nothing',
      {},
      { username: 'This field is required.', email: 'This field is required.', password: 'This field is required.' },
    ],
    [
      'a taken user name',
      { username: 'Taken', email: 'free@example.com', password: 'pass' },
      { username: 'A user with that username already exists.' },
    ],
    [
      'a taken e-mail',
      { username: 'free', email: 'Taken@example.com', password: 'pass' },
      { email: 'user with this email already exists.' },
    ],
    [
      'a malformed e-mail',
      { username: 'free', email: 'nobody', password: 'pass' },
      { email: 'Enter a valid email address.' },
    ],
    [
      'a short password',
      { username: 'free', email: 'free@example.com', password: 'abc' },
      { password: 'Password should have a minimum of 4 characters.' },
    ],
    [
      'an empty password',
      { username: 'free', email: 'free@example.com', password: '' },
      { password: 'Password should have a minimum of 4 characters.' },
    ],
    ['a space', { username: 'fr ee', email: 'free@example.com', password: 'pass' }, { username: expect.any(String) }],
    [
      'a long user name',
      { username: 'x'.repeat(151), email: 'free@example.com', password: 'pass' },
      { username: expect.any(String) },
    ],
    [
      'a long name',
      { username: 'free', email: 'free@example.com', password: 'pass', first_name: 'x'.repeat(151) },
      { first_name: expect.any(String) },
    ],
  ])('answers 409 to %s, with each list at the top level as well', async (_name, payload, texts) => {
    const response = await app.post('/signup/', payload)

    const lists = Object.fromEntries(Object.entries(texts).map(([field, text]) => [field, [text]]))
    expect(response.statusCode).toBe(409)
    expect(response.json()).toMatchObject({ status: 409, errors: lists, ...lists, error: expect.any(String) })
    expect(response.json().detail).toBe(Object.values(response.json().errors as Record<string, string[]>)[0]?.[0])
  })

  it('answers 400 to what is not JSON and 415 to another type', async () => {
    const malformed = await app.post('/signup/', '{"username"', { 'content-type': 'application/json' })
    const text = await app.post('/signup/', 'username=a', { 'content-type': 'text/plain' })

    expect([malformed.statusCode, text.statusCode]).toEqual([400, 415])
  })

  it('makes one user out of two simultaneous sign-ups', async () => {
    const fields = { username: 'twin', email: 'twin@example.com', password: 'pass' }

    const statuses = statusesOf(await Promise.all([app.post('/signup/', fields), app.post('/signup/', fields)]))

    expect(statuses).toEqual([201, 409])
  })
})

describe('POST /login/', () => {
  it('answers a token and the name as it was sent', async () => {
    const response = await login('TAKEN@example.com')

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ token: expect.any(String), username: 'TAKEN@example.com' })
  })

  it('lets several log-ins of one user work side by side', async () => {
    const tokens = [(await login('taken')).json().token, (await login('taken')).json().token]

    const checks = await Promise.all(
      tokens.map((token) => app.get('/auth-protected-check/', { authorization: `Token ${token}` })),
    )

    expect(checks.map((check) => check.statusCode)).toEqual([200, 200])
  })

  it.each([
    [{ password: 'x' }, 'username'],
    [{ username: 'taken' }, 'password'],
  ])('answers 400 with errors to %j', async (payload, field) => {
    const response = await app.post('/login/', payload)

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({
      errors: { [field]: ['This field is required.'] },
      [field]: ['This field is required.'],
    })
  })

  it('answers 405 to GET', async () => {
    expect((await app.get('/login/')).statusCode).toBe(405)
  })
})

describe('POST /logout/ and GET /auth-protected-check/', () => {
  const text = 'User taken with an email taken@example.com'

  it('say who is signed in and end it', async () => {
    const headers = bearer((await login('taken')).json().token)

    const check = await app.get('/auth-protected-check', headers)
    const logout = await app.post('/logout/', '{"any":"body"}', { 'content-type': 'application/json', ...headers })

    expect([check.statusCode, check.json()]).toEqual([200, { message: `${text} is authenticated.` }])
    expect([logout.statusCode, logout.json()]).toEqual([200, { message: `${text} logged out successfully` }])
    expect((await app.get('/auth-protected-check/', headers)).statusCode).toBe(401)
    expect((await app.post('/logout/', undefined, headers)).statusCode).toBe(401)
  })

  it('end a session', async () => {
    const cookie = cookieOf(await app.post('/api/login/', { username: 'taken', password: PASSWORD }), 'sessionid')

    const logout = await app.post('/logout/', undefined, { cookie })

    expect(logout.statusCode).toBe(200)
    expect((await app.get('/auth-protected-check/', { cookie })).statusCode).toBe(401)
  })

  it('answer the same with HTTP Basic', async () => {
    const logout = await app.post('/logout/', undefined, basic('taken', PASSWORD))

    expect([logout.statusCode, logout.json().message]).toEqual([200, `${text} logged out successfully`])
  })

  it('answer 401 to nobody', async () => {
    const responses = await Promise.all([app.post('/logout/'), app.get('/auth-protected-check/')])

    expect(responses.map((response) => [response.statusCode, response.headers['www-authenticate']])).toEqual([
      [401, 'Bearer'],
      [401, 'Bearer'],
    ])
  })
})
