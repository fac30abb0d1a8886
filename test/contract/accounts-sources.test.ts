import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { bearer, cookieOf, PASSWORD, startIdentityApp, type IdentityApp } from './identity-app.ts'

let app: IdentityApp

beforeAll(async () => {
  app = await startIdentityApp()
  await app.addUser({ username: 'taken', email: 'taken@example.com' })
})
afterAll(() => app.close())

const whole = (username: string) => ({
  username,
  email: `${username}@example.com`,
  password: 'pass',
  confirm_password: 'pass',
})

describe('POST /api/register/', () => {
  it.each(['json', 'form', 'multipart'])('creates a user from a %s body and starts no session', async (kind) => {
    const fields = whole(`new-${kind}`)

    const response =
      kind === 'json'
        ? await app.post('/api/register/', fields)
        : kind === 'form'
          ? await app.form('/api/register', fields)
          : await app.post('/api/register/', ...multipart(fields))

    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({ message: 'User registered successfully' })
    expect(response.headers['set-cookie']).toBeUndefined()
  })

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['null', null],
  ])('needs no e-mail: %s', async (name, email) => {
    const username = `no-mail-${name}`

    const response = await app.post('/api/register/', { ...whole(username), email })

    expect(response.statusCode).toBe(201)
    const { token } = (await app.post('/api/auth/login/', { username, password: 'pass' })).json()
    expect((await app.get('/api/users/me/', bearer(token))).json().email).toBeNull()
  })

  it.each([
    ['no user name', { ...whole('x'), username: undefined }, { username: ['This field is required.'] }],
    [
      'no confirmation',
      { ...whole('x'), confirm_password: undefined },
      { confirm_password: ['This field is required.'] },
    ],
    [
      'another confirmation',
      { ...whole('x'), confirm_password: 'other' },
      { non_field_errors: ['Passwords do not match.'] },
    ],
    [
      'a taken user name',
      { ...whole('TAKEN'), email: 'f@example.com' },
      { username: ['A user with that username already exists.'] },
    ],
    ['a malformed e-mail', { ...whole('x'), email: 'nobody' }, { email: ['Enter a valid email address.'] }],
    [
      'a short password',
      { ...whole('x'), password: 'abc', confirm_password: 'abc' },
      { password: ['Password should have a minimum of 4 characters.'] },
    ],
    ['odd characters', { ...whole('x'), username: 'a/b' }, { username: [expect.any(String)] }],
  ])('answers 400 to %s, with the error as a text', async (_name, payload, errors) => {
    const response = await app.post('/api/register/', payload)

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ errors, ...errors, error: expect.any(String) })
    expect(response.json().error).toBe(response.json().detail)
  })
})

describe('GET and POST /api/logout/', () => {
  it.each(['GET', 'POST'] as const)('%s ends the session and clears both cookies', async (method) => {
    const cookie = cookieOf(await app.post('/api/login/', { username: 'taken', password: PASSWORD }), 'sessionid')

    const response = await app.send({
      method,
      url: '/api/logout/',
      headers: { cookie },
      ...(method === 'POST' ? { payload: {} } : {}),
    })

    expect([response.statusCode, response.json()]).toEqual([200, { message: 'Logged out successfully' }])
    expect(response.headers['set-cookie']).toEqual([
      expect.stringMatching(/^sessionid=; .*Max-Age=0/),
      expect.stringMatching(/^csrftoken=; .*Max-Age=0/),
    ])
    expect((await app.get('/api/users/me/', { cookie })).statusCode).toBe(401)
  })

  it('revokes a token as well', async () => {
    const { access } = (await app.post('/api/token/', { username: 'taken', password: PASSWORD })).json()

    await app.post('/api/logout/', undefined, bearer(access))

    expect((await app.get('/api/users/me/', bearer(access))).statusCode).toBe(401)
  })

  it.each([
    ['nobody', {}],
    ['a stale cookie', { cookie: 'sessionid=stale' }],
    ['a bad token', { authorization: 'Bearer bad' }],
    ['a bad password', { authorization: `Basic ${Buffer.from('taken:wrong').toString('base64')}` }],
  ])('answers 200 to %s', async (_name, headers) => {
    const response = await app.post('/api/logout/', {}, headers)

    expect([response.statusCode, response.json()]).toEqual([200, { message: 'Logged out successfully' }])
  })
})

describe('cookies behind https', () => {
  it('are Secure when the proxy or the public address says so', async () => {
    const proxied = await startIdentityApp({ TRUST_PROXY: '127.0.0.1' })
    const { username } = await proxied.addUser()
    const headers = { 'x-forwarded-proto': 'https' }

    const response = await proxied.post('/api/login/', { username, password: PASSWORD }, headers)
    const plain = await proxied.post('/api/login/', { username, password: PASSWORD })

    expect([response.headers['set-cookie']].flat()).toEqual([
      expect.stringContaining('; Secure'),
      expect.stringContaining('; Secure'),
    ])
    expect([plain.headers['set-cookie']].flat().join()).not.toContain('Secure')
    await proxied.close()
  })
})

describe('a request that changes something by cookie alone', () => {
  it('is refused from an untrusted origin and heard from a trusted one', async () => {
    const response = await app.post('/api/login/', { username: 'taken', password: PASSWORD })
    const cookie = cookieOf(response, 'sessionid')
    const csrf = cookieOf(response, 'csrftoken')
    const post = (headers: Record<string, string>) =>
      app.post('/api/users/not-a-uuid/update-password/', {}, { cookie: `${cookie}; ${csrf}`, ...headers })

    const foreign = await post({ origin: 'https://evil.example' })
    const trusted = await post({ origin: 'http://localhost:3000' })
    const token = await post({ origin: 'https://evil.example', 'x-csrftoken': csrf.replace('csrftoken=', '') })

    expect([foreign.statusCode, trusted.statusCode, token.statusCode]).toEqual([403, 404, 404])
  })
})

function multipart(fields: Record<string, string>): [string, Record<string, string>] {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--cut\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  return [`${parts.join('')}--cut--\r\n`, { 'content-type': 'multipart/form-data; boundary=cut' }]
}
