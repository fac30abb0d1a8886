import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { bearer, cookieOf, PASSWORD, startIdentityApp, type IdentityApp, type TestUser } from './identity-app.ts'

let app: IdentityApp
let user: TestUser

beforeAll(async () => {
  app = await startIdentityApp({ SIGNIN_FAILURE_LIMIT: '0' })
  user = await app.addUser({ username: 'Ada', email: 'ada@example.com' })
  await app.addUser({ username: 'inactive', is_active: false })
  const gone = await app.addUser({ username: 'gone' })
  const pair = await app.post('/api/token/', { username: 'gone', password: PASSWORD })
  await app.send({ method: 'DELETE', url: `/api/user/${gone.id}/`, headers: bearer(pair.json().access) })
})
afterAll(() => app.close())

const right = { username: 'Ada', password: PASSWORD }

describe('POST /api/auth/login/', () => {
  it('answers a token that works until log-out, with either word before it', async () => {
    const response = await app.post('/api/auth/login/', right)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ token: expect.stringMatching(/^[\w-]{40,}$/) })
    const { token } = response.json()
    app.clock.advance(400 * 86_400)
    const words = ['Token', 'bearer', 'TOKEN', 'Bearer'].map((word) =>
      app.get('/api/users/me/', { authorization: `${word} ${token}` }),
    )
    expect((await Promise.all(words)).map((me) => me.statusCode)).toEqual([200, 200, 200, 200])
  })

  it.each(['ada@example.com', 'ADA@Example.com', 'ada'])('accepts %s as user name', async (username) => {
    const response = await app.post('/api/auth/login', { username, password: PASSWORD })

    expect(response.statusCode).toBe(200)
  })

  it('gives each sign-in a credential of its own', async () => {
    const first = (await app.post('/api/auth/login/', right)).json().token
    const second = (await app.post('/api/auth/login/', right)).json().token

    await app.post('/api/auth/logout/', undefined, bearer(first))

    expect((await app.get('/api/users/me/', bearer(first))).statusCode).toBe(401)
    expect((await app.get('/api/users/me/', bearer(second))).statusCode).toBe(200)
  })
})

describe('POST /api/auth/signin/', () => {
  it('answers a JWT pair and sets the cookies of one sign-in', async () => {
    const response = await app.post('/api/auth/signin/', right)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ status: 200, access: expect.any(String), refresh: expect.any(String) })
    const session = cookieOf(response, 'sessionid')
    expect((await app.get('/api/users/me/', { cookie: session })).statusCode).toBe(200)
    await app.post('/api/auth/logout/', undefined, bearer(response.json().access))
    expect((await app.get('/api/users/me/', { cookie: session })).statusCode).toBe(401)
    const refresh = await app.post('/api/token/refresh/', { refresh: response.json().refresh })
    expect(refresh.statusCode).toBe(401)
  })
})

describe('POST /api/token/', () => {
  it('answers a JWT pair with the documented claims', async () => {
    const response = await app.post('/api/token/', right)

    expect(response.statusCode).toBe(200)
    expect(Object.keys(response.json()).toSorted()).toEqual(['access', 'refresh'])
    const [header, claims] = response
      .json()
      .access.split('.')
      .slice(0, 2)
      .map((part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    expect(header).toMatchObject({ alg: 'HS256' })
    expect(claims).toMatchObject({
      token_type: 'access',
      user_id: user.id,
      username: 'Ada',
      first_name: 'Ada',
      jti: expect.any(String),
      iat: expect.any(Number),
    })
    expect(claims.exp - claims.iat).toBe(86_400)
  })
})

describe('POST /api/login/', () => {
  it.each(['json', 'form'])('greets and sets both cookies for a %s body', async (kind) => {
    const response = kind === 'json' ? await app.post('/api/login/', right) : await app.form('/api/login/', right)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ message: 'Hello Ada' })
    const [session, csrf] = [response.headers['set-cookie']].flat()
    expect(session).toMatch(/^sessionid=[\w-]+; Path=\/; Max-Age=1209600; SameSite=Lax; HttpOnly$/)
    expect(csrf).toMatch(/^csrftoken=[\w-]+; Path=\/; Max-Age=1209600; SameSite=Lax$/)
  })

  it('greets with the name that was sent', async () => {
    const response = await app.post('/api/login/', { username: 'ada@EXAMPLE.com', password: PASSWORD })

    expect(response.json()).toEqual({ message: 'Hello ada@EXAMPLE.com' })
  })

  it('keeps the first session when the client logs in twice', async () => {
    const first = cookieOf(await app.post('/api/login/', right), 'sessionid')
    const second = cookieOf(await app.post('/api/login/', right, { cookie: first }), 'sessionid')

    expect(second).not.toBe(first)
    expect((await app.get('/api/users/me/', { cookie: first })).statusCode).toBe(200)
    expect((await app.get('/api/users/me/', { cookie: second })).statusCode).toBe(200)
  })

  it('ends a session after 14 days', async () => {
    const cookie = cookieOf(await app.post('/api/login/', right), 'sessionid')

    app.clock.advance(14 * 86_400 - 60)
    expect((await app.get('/api/users/me/', { cookie })).statusCode).toBe(200)
    app.clock.advance(120)
    expect((await app.get('/api/users/me/', { cookie })).statusCode).toBe(401)
  })

  it('answers 405 to GET', async () => {
    const response = await app.get('/api/login/')

    expect(response.statusCode).toBe(405)
    expect(response.headers['allow']).toContain('POST')
  })
})

describe('what fails, and how each endpoint says so', () => {
  const cases: [url: string, why: string, body: object, status: number, detail: string][] = [
    ['/api/auth/login/', 'a wrong password', { username: 'Ada', password: 'wrong' }, 401, 'Invalid credentials'],
    ['/api/auth/login/', 'an unknown user', { username: 'nobody', password: PASSWORD }, 401, 'Invalid credentials'],
    ['/api/auth/login/', 'an empty name', { username: '', password: PASSWORD }, 401, 'Invalid credentials'],
    ['/api/auth/login/', 'an inactive user', { username: 'inactive', password: PASSWORD }, 401, 'Invalid credentials'],
    ['/api/auth/login/', 'a deleted user', { username: 'gone', password: PASSWORD }, 401, 'Invalid credentials'],
    ['/api/auth/login/', 'no password', { username: 'Ada' }, 400, 'This field is required.'],
    ['/api/auth/login/', 'no user name', { password: PASSWORD }, 400, 'This field is required.'],
    ['/api/auth/login/', 'a number', { username: 1, password: PASSWORD }, 400, 'Not a valid string.'],

    [
      '/api/auth/signin/',
      'a wrong password',
      { username: 'Ada', password: 'wrong' },
      401,
      'Invalid username or password',
    ],
    ['/api/auth/signin/', 'an unknown user', { username: 'nobody', password: PASSWORD }, 400, 'Invalid Username'],
    ['/api/auth/signin/', 'an empty name', { username: '', password: PASSWORD }, 400, 'Invalid Username'],
    ['/api/auth/signin/', 'an inactive user', { username: 'inactive', password: PASSWORD }, 400, 'Invalid Username'],
    ['/api/auth/signin/', 'a deleted user', { username: 'gone', password: PASSWORD }, 400, 'Invalid Username'],
    ['/api/auth/signin/', 'no password', { username: 'Ada' }, 400, 'This field is required.'],

    [
      '/api/token/',
      'a wrong password',
      { username: 'Ada', password: '' },
      401,
      'No active account found with the given credentials',
    ],
    [
      '/api/token/',
      'an unknown user',
      { username: 'nobody', password: 'x' },
      401,
      'No active account found with the given credentials',
    ],
    [
      '/api/token/',
      'an inactive user',
      { username: 'inactive', password: PASSWORD },
      401,
      'No active account found with the given credentials',
    ],
    [
      '/api/token/',
      'a deleted user',
      { username: 'gone', password: PASSWORD },
      401,
      'No active account found with the given credentials',
    ],
    ['/api/token/', 'nothing', {}, 400, 'This field is required.'],

    ['/api/login/', 'a wrong password', { username: 'Ada', password: 'wrong' }, 400, 'Invalid credentials'],
    ['/api/login/', 'an unknown user', { username: 'nobody', password: PASSWORD }, 400, 'Invalid credentials'],
    ['/api/login/', 'an inactive user', { username: 'inactive', password: PASSWORD }, 400, 'Invalid credentials'],
    ['/api/login/', 'a deleted user', { username: 'gone', password: PASSWORD }, 400, 'Invalid credentials'],
    ['/api/login/', 'no password', { username: 'Ada' }, 400, 'Invalid credentials'],
    ['/api/login/', 'a wrong type', { username: ['Ada'], password: PASSWORD }, 400, 'Invalid credentials'],
    ['/api/login/', 'an array', [], 400, 'Invalid credentials'],

    ['/login/', 'a wrong password', { username: 'Ada', password: 'wrong' }, 400, 'Invalid Password.'],
    ['/login/', 'an unknown user', { username: 'nobody', password: PASSWORD }, 404, 'User not found.'],
    ['/login/', 'an inactive user', { username: 'inactive', password: PASSWORD }, 400, 'Invalid Password.'],
    ['/login/', 'a deleted user', { username: 'gone', password: PASSWORD }, 404, 'User not found.'],
    ['/login/', 'no user name', { password: PASSWORD }, 400, 'This field is required.'],
  ]

  it.each(cases)('%s refuses %s', async (url, _why, body, status, detail) => {
    const response = await app.post(url, body)

    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ status, detail, error: detail, message: detail })
    expect(response.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined)
    expect(response.headers['set-cookie']).toBeUndefined()
  })

  it('gives no hint why at /api/login/', async () => {
    const bodies = [{ username: 'Ada', password: 'wrong' }, { username: 'nobody', password: 'x' }, {}, { password: 5 }]

    const answers = await Promise.all(bodies.map(async (body) => (await app.post('/api/login/', body)).json()))

    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  })

  it.each(['/api/auth/login/', '/api/auth/signin/', '/api/token/', '/api/login/', '/login/'])(
    '%s survives huge and strange values',
    async (url) => {
      const values = ['x'.repeat(500_000), '💥'.repeat(1000), "' OR 1=1 --", '\u202E', '%00', '\\']

      const responses = await Promise.all(values.map((text) => app.post(url, { username: text, password: text })))

      expect(responses.filter((response) => response.statusCode >= 500)).toEqual([])
      expect(responses.filter((response) => response.statusCode < 400)).toEqual([])
    },
  )
})

it('records a sign-in for the user and staff', async () => {
  const before = await app.changes('identity.sign-in.created')

  await app.post('/api/auth/login/', right)

  const recorded = (await app.changes('identity.sign-in.created')).slice(before.length)
  expect(recorded).toMatchObject([
    { actor: user.id, audience: [`user:${user.id}`, 'staff'], data: { user_id: user.id, kind: 'token' } },
  ])
})

it('never writes a password, token or hash to the log of changes', async () => {
  const { token } = (await app.post('/api/auth/login/', right)).json()
  const { refresh } = (await app.post('/api/token/', right)).json()
  await app.post('/api/token/refresh/', { refresh })

  const topics = ['created', 'renewed', 'revoked'].map((word) => app.changes(`identity.sign-in.${word}`))
  const text = JSON.stringify(await Promise.all(topics))

  expect(text).not.toContain(token)
  expect(text).not.toContain('argon2')
  expect(text).not.toContain(refresh)
})
