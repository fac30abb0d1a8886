import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import {
  basic,
  bearer,
  CLIENT,
  cookieOf,
  PASSWORD,
  startIdentityApp,
  type IdentityApp,
  type TestUser,
} from './identity-app.ts'

let app: IdentityApp
let user: TestUser

beforeAll(async () => {
  app = await startIdentityApp()
  user = await app.addUser({ username: 'ada', email: 'ada@example.com' })
})
afterAll(() => app.close())

type Headers = Record<string, string>

/** Every kind of credential, as headers. */
const credentials: [name: string, obtain: (username: string) => Promise<Headers>][] = [
  ['an API token', async (username) => tokenHeaders(await signIn('/api/auth/login/', username), 'token')],
  ['a feed token', async (username) => tokenHeaders(await signIn('/login/', username), 'token')],
  ['a JWT', async (username) => tokenHeaders(await signIn('/api/token/', username), 'access')],
  ['a JWT of sign-in', async (username) => tokenHeaders(await signIn('/api/auth/signin/', username), 'access')],
  ['a session', async (username) => ({ cookie: cookieOf(await signIn('/api/login/', username), 'sessionid') })],
  ['an OAuth2 token', async (username) => bearer((await oauthToken(username)).json().access_token)],
]
const withBasic: typeof credentials = [...credentials, ['HTTP Basic', async (username) => basic(username, PASSWORD)]]

const signIn = (url: string, username: string) => app.post(url, { username, password: PASSWORD })
const tokenHeaders = (response: { json(): Record<string, string> }, member: string) =>
  bearer(response.json()[member] ?? '')
const oauthToken = (username: string, scope?: string) =>
  app.form('/oauth/token/', {
    ...CLIENT,
    grant_type: 'password',
    username,
    password: PASSWORD,
    ...(scope === undefined ? {} : { scope }),
  })

describe('a protected path', () => {
  it.each(withBasic)('accepts %s', async (_name, obtain) => {
    const headers = await obtain('ada')

    const response = await app.get('/api/users/me/', headers)

    expect(response.statusCode).toBe(200)
    expect(response.json().id).toBe(user.id)
  })

  it('costs one statement before the handler runs its own', async () => {
    const counts: Record<string, number> = {}
    for (const [name, obtain] of withBasic) {
      const headers = await obtain('ada')
      await app.get('/auth-protected-check/', headers)
      app.takeStatements()

      await app.get('/auth-protected-check/', headers)

      counts[name] = app.takeStatements().length
    }

    expect(counts).toEqual(Object.fromEntries(withBasic.map(([name]) => [name, 1])))
  })

  it('answers 401 with a Bearer challenge to nobody', async () => {
    const response = await app.get('/api/users/me/')

    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer')
    expect(response.json()).toMatchObject({ error: 'Authentication credentials were not provided.' })
  })

  it.each([
    ['an unknown token', { authorization: 'Bearer unknown' }],
    ['an empty header', { authorization: '' }],
    ['a bare word', { authorization: 'Bearer' }],
    ['two tokens', { authorization: 'Bearer a b' }],
    ['another scheme', { authorization: 'Digest abc' }],
    ['a token without a word', { authorization: 'abcdef' }],
    ['Basic that is not base64', { authorization: 'Basic ***' }],
    ['Basic without a colon', { authorization: `Basic ${Buffer.from('ada').toString('base64')}` }],
    ['Basic with NUL', basic('ada\0', PASSWORD)],
    ['Basic with a wrong password', basic('ada', 'wrong')],
    ['Basic of nobody', basic('nobody', PASSWORD)],
    ['an unknown cookie', { cookie: 'sessionid=unknown' }],
    ['a huge cookie', { cookie: `sessionid=${'x'.repeat(5000)}` }],
    ['a huge token', { authorization: `Bearer ${'x'.repeat(10_000)}` }],
    ['__proto__', { authorization: 'Bearer __proto__' }],
  ])('answers 401 to %s', async (_name, headers) => {
    const response = await app.get('/api/users/me/', headers)

    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer')
  })

  it('takes a cookie that was cleared for no credential', async () => {
    const response = await app.get('/api/users/me/', { cookie: 'other=1; sessionid=' })

    expect(response.json().error).toBe('Authentication credentials were not provided.')
  })

  it('lets the Authorization header decide alone', async () => {
    const session = { cookie: cookieOf(await signIn('/api/login/', 'ada'), 'sessionid') }

    const response = await app.get('/api/users/me/', { ...session, authorization: 'Bearer unknown' })

    expect(response.statusCode).toBe(401)
  })

  it('does not take the value of one kind for another', async () => {
    const session = cookieOf(await signIn('/api/login/', 'ada'), 'sessionid').replace('sessionid=', '')
    const { token } = (await signIn('/api/auth/login/', 'ada')).json()
    const { refresh_token: refresh } = (await oauthToken('ada')).json()

    const statuses = await Promise.all([
      app.get('/api/users/me/', bearer(session)),
      app.get('/api/users/me/', { cookie: `sessionid=${token}` }),
      app.get('/api/users/me/', bearer(refresh)),
    ])

    expect(statuses.map((response) => response.statusCode)).toEqual([401, 401, 401])
  })

  it.each(withBasic)('refuses %s at once when the user is deactivated', async (_name, obtain) => {
    const other = await app.addUser()
    const headers = await obtain(other.username)
    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(200)

    await app.db.run(sql`UPDATE users SET is_active = false WHERE id = ${other.id}`)

    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(401)
  })

  it.each(withBasic)('refuses %s at once when the user is deleted with it', async (_name, obtain) => {
    const other = await app.addUser()
    const headers = await obtain(other.username)

    const deletion = await app.send({ method: 'DELETE', url: `/api/user/${other.id}/`, headers })

    expect(deletion.statusCode).toBe(200)
    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(401)
  })

  it('stores opaque credentials only as digests', async () => {
    const { token } = (await signIn('/api/auth/login/', 'ada')).json()
    const session = cookieOf(await signIn('/api/login/', 'ada'), 'sessionid').replace('sessionid=', '')

    const rows = await app.db.rows(sql`SELECT encode(digest, 'escape') AS text, c.* FROM credentials c`)

    expect(JSON.stringify(rows)).not.toContain(token)
    expect(JSON.stringify(rows)).not.toContain(session)
  })
})

describe('log-out', () => {
  it.each(credentials)('of %s ends it and no other sign-in', async (_name, obtain) => {
    const headers = await obtain('ada')
    const other = await obtain('ada')

    const response = await app.post('/api/auth/logout/', undefined, headers)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({ message: 'Logged out successfully' })
    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(401)
    expect((await app.get('/api/users/me/', other)).statusCode).toBe(200)
  })

  it('has nothing to revoke with HTTP Basic', async () => {
    const response = await app.post('/api/auth/logout/', undefined, basic('ada', PASSWORD))

    expect(response.statusCode).toBe(200)
    expect((await app.get('/api/users/me/', basic('ada', PASSWORD))).statusCode).toBe(200)
  })

  it('answers 401 to nobody', async () => {
    expect((await app.post('/api/auth/logout/')).statusCode).toBe(401)
  })

  it('ends the OAuth2 refresh token too', async () => {
    const pair = (await oauthToken('ada')).json()

    await app.post('/api/auth/logout/', undefined, bearer(pair.access_token))

    const refresh = await app.form('/oauth/token/', {
      ...CLIENT,
      grant_type: 'refresh_token',
      refresh_token: pair.refresh_token,
    })
    expect(refresh.statusCode).toBe(400)
  })

  it('clears the cookie of the sign-in that ended, and only that one', async () => {
    const own = await signIn('/api/auth/signin/', 'ada')
    const other = cookieOf(await signIn('/api/login/', 'ada'), 'sessionid')

    const foreign = await app.post('/api/auth/logout/', undefined, {
      ...bearer((await signIn('/api/token/', 'ada')).json().access),
      cookie: other,
    })
    const response = await app.post('/api/auth/logout/', undefined, {
      ...bearer(own.json().access),
      cookie: cookieOf(own, 'sessionid'),
    })

    expect(foreign.headers['set-cookie']).toBeUndefined()
    expect(response.headers['set-cookie']).toEqual([
      expect.stringMatching(/^sessionid=; Path=\/; Max-Age=0/),
      expect.stringMatching(/^csrftoken=; Path=\/; Max-Age=0/),
    ])
  })

  it('tells who keeps rights in memory which sign-in ended', async () => {
    const headers = await credentials[0]![1]('ada')
    const created = (await app.changes('identity.sign-in.created')).at(-1)

    await app.post('/api/auth/logout/', undefined, headers)

    const revoked = (await app.changes('identity.sign-in.revoked')).at(-1)
    expect(revoked).toMatchObject({
      subject_id: created?.subject_id,
      data: { user_id: user.id, sign_in_id: created?.subject_id, reason: 'logged-out' },
    })
  })
})

describe('scopes', () => {
  it('answer 403 to a token without write that changes something', async () => {
    const { access_token: token } = (await oauthToken('ada', 'read')).json()

    const read = await app.get('/api/users/me/', bearer(token))
    const write = await app.post(`/api/users/${user.id}/update-password/`, {}, bearer(token))

    expect([read.statusCode, write.statusCode]).toEqual([200, 403])
  })

  it.each(['/api/auth/logout/', '/logout/'])('let every token end itself at %s', async (url) => {
    const tokens = [(await oauthToken('ada', 'read')).json(), (await oauthToken('ada', 'write')).json()]

    const answers = await Promise.all(tokens.map(({ access_token: token }) => app.post(url, {}, bearer(token))))
    const after = await Promise.all(tokens.map(({ access_token: token }) => app.get('/api/users/me/', bearer(token))))

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200])
    expect(after.map(({ statusCode }) => statusCode)).toEqual([401, 401])
  })

  it('answer 403 to a token without read that reads', async () => {
    const { access_token: token } = (await oauthToken('ada', 'write')).json()

    expect((await app.get('/api/users/me/', bearer(token))).statusCode).toBe(403)
  })
})

describe('HTTP Basic', () => {
  it('is remembered for a minute and forgotten with the password', async () => {
    const other = await app.addUser()
    const headers = basic(other.email ?? '', PASSWORD)
    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(200)

    const change = await app.post(
      `/api/users/${other.id}/update-password/`,
      { old_password: PASSWORD, new_password: 'another horse' },
      headers,
    )

    expect(change.statusCode).toBe(204)
    expect((await app.get('/api/users/me/', headers)).statusCode).toBe(401)
    expect((await app.get('/api/users/me/', basic(other.username, 'another horse'))).statusCode).toBe(200)
  })

  it('counts failures like sign-ins', async () => {
    const other = await app.addUser()
    for (let failure = 0; failure < 10; failure++) {
      expect((await app.get('/api/users/me/', basic(other.username, 'wrong'))).statusCode).toBe(401)
    }

    const blocked = await app.get('/api/users/me/', basic(other.username, 'wrong'))

    expect(blocked.statusCode).toBe(429)
    expect((await app.get('/api/users/me/', basic(other.username, PASSWORD))).statusCode).toBe(429)
    expect((await signIn('/api/auth/login/', other.username)).statusCode).toBe(429)
  })
})
