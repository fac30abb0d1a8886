import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { basic, bearer, CLIENT, PASSWORD, startIdentityApp, statusesOf, type IdentityApp } from './identity-app.ts'

let app: IdentityApp

beforeAll(async () => {
  app = await startIdentityApp()
  await app.addUser({ username: 'ada', email: 'ada@example.com' })
  await app.addUser({ username: 'inactive', is_active: false })
  const gone = await app.addUser({ username: 'gone' })
  await app.send({ method: 'DELETE', url: `/api/user/${gone.id}/`, headers: basic('gone', PASSWORD) })
  await app.db.run(sql`
    INSERT INTO oauth_clients (id, secret_hash) VALUES ('other-client', sha256(convert_to('other-secret', 'UTF8')))`)
})
afterAll(() => app.close())

interface Pair {
  access_token: string
  refresh_token: string
}

const OTHER = { client_id: 'other-client', client_secret: 'other-secret' }
const grant = { grant_type: 'password', username: 'ada', password: PASSWORD }
const obtainPair = async (fields = {}) =>
  (await app.form('/oauth/token/', { ...CLIENT, ...grant, ...fields })).json<Pair>()
const refreshWith = (token: string, fields = {}) =>
  app.form('/oauth/token/', { ...CLIENT, grant_type: 'refresh_token', refresh_token: token, ...fields })
const statusOf = async (token: string) => (await app.get('/api/users/me/', bearer(token))).statusCode

describe('POST /oauth/token/ with a password', () => {
  it('answers an opaque pair that is not to be stored', async () => {
    const response = await app.form('/oauth/token/', { ...CLIENT, ...grant })

    expect(response.statusCode).toBe(200)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(response.json()).toEqual({
      access_token: expect.stringMatching(/^[\w-]{40,}$/),
      refresh_token: expect.stringMatching(/^[\w-]{40,}$/),
      expires_in: 36000,
      token_type: 'Bearer',
      scope: 'read write',
    })
    expect(await statusOf(response.json().access_token)).toBe(200)
  })

  it.each([
    ['JSON', () => app.post('/oauth/token/', { ...CLIENT, ...grant })],
    ['multipart', () => app.post('/oauth/token', ...multipart({ ...CLIENT, ...grant }))],
    [
      'a client by HTTP Basic',
      () =>
        app.form(
          '/oauth/token/',
          grant,
          basic(encodeURIComponent(CLIENT.client_id), encodeURIComponent(CLIENT.client_secret)),
        ),
    ],
    [
      'a client by HTTP Basic that does not encode',
      () => app.form('/oauth/token/', grant, basic(CLIENT.client_id, CLIENT.client_secret)),
    ],
    ['an e-mail', () => app.form('/oauth/token/', { ...CLIENT, ...grant, username: 'ADA@example.com' })],
  ])('accepts %s', async (_name, send) => {
    const response = await send()

    expect(response.statusCode).toBe(200)
  })

  it.each([
    ['read', 'read'],
    ['write', 'write'],
    ['write read', 'read write'],
    ['read read', 'read'],
    ['', 'read write'],
  ])('grants the scope %j as %j', async (asked, granted) => {
    const response = await app.form('/oauth/token/', { ...CLIENT, ...grant, scope: asked })

    expect(response.json().scope).toBe(granted)
  })

  it('ends the access token after 36000 s', async () => {
    const { access_token: token } = await obtainPair()

    app.clock.advance(35_990)
    expect(await statusOf(token)).toBe(200)
    app.clock.advance(20)
    expect(await statusOf(token)).toBe(401)
  })

  const failures: [string, Record<string, string>, number, string][] = [
    ['a wrong password', { ...CLIENT, ...grant, password: 'wrong' }, 400, 'invalid_grant'],
    ['an unknown user', { ...CLIENT, ...grant, username: 'nobody' }, 400, 'invalid_grant'],
    ['an inactive user', { ...CLIENT, ...grant, username: 'inactive' }, 400, 'invalid_grant'],
    ['a deleted user', { ...CLIENT, ...grant, username: 'gone' }, 400, 'invalid_grant'],
    ['an unknown client', { ...grant, client_id: 'nobody', client_secret: 'x' }, 401, 'invalid_client'],
    ['a wrong secret', { ...grant, ...CLIENT, client_secret: 'wrong' }, 401, 'invalid_client'],
    ['no client', grant, 401, 'invalid_client'],
    ['no secret', { ...grant, client_id: CLIENT.client_id }, 401, 'invalid_client'],
    ['another grant', { ...CLIENT, ...grant, grant_type: 'client_credentials' }, 400, 'unsupported_grant_type'],
    ['no grant', { ...CLIENT, username: 'ada', password: PASSWORD }, 400, 'unsupported_grant_type'],
    ['no user name', { ...CLIENT, grant_type: 'password', password: PASSWORD }, 400, 'invalid_request'],
    ['no password', { ...CLIENT, grant_type: 'password', username: 'ada' }, 400, 'invalid_request'],
    ['no refresh token', { ...CLIENT, grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ['an unknown scope', { ...CLIENT, ...grant, scope: 'read admin' }, 400, 'invalid_scope'],
    ['a NUL', { ...CLIENT, ...grant, username: 'a\0' }, 400, 'invalid_request'],
  ]

  it.each(failures)('refuses %s', async (_name, fields, status, error) => {
    const response = await app.form('/oauth/token/', fields)

    expect(response.statusCode).toBe(status)
    expect(response.json()).toEqual({ error, error_description: expect.any(String) })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('says what the contract says about a wrong password', async () => {
    const response = await app.form('/oauth/token/', { ...CLIENT, ...grant, password: 'wrong' })

    expect(response.json().error_description).toBe('Invalid credentials given.')
  })

  it('challenges with Basic when Basic was used', async () => {
    const response = await app.form('/oauth/token/', grant, basic(CLIENT.client_id, 'wrong'))

    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toMatch(/^Basic/)
  })

  it.each(['Basic', 'Basic ', 'basic !', 'Basic a b'])(
    'challenges with Basic after %j, whatever the body',
    async (header) => {
      const response = await app.form('/oauth/token/', { ...CLIENT, ...grant }, { authorization: header })

      expect(response.statusCode).toBe(401)
      expect(response.headers['www-authenticate']).toMatch(/^Basic/)
    },
  )

  it.each(['/oauth/token/', '/oauth/revoke_token', '/oauth/introspect/'])(
    'answers 405 of %s in OAuth2 form',
    async (url) => {
      const response = await app.get(url)

      expect(response.statusCode).toBe(405)
      expect(response.headers.allow).toBe('OPTIONS, POST')
      expect(response.json()).toEqual({ error: 'invalid_request', error_description: expect.any(String) })
    },
  )

  it.each(['username', 'scope', 'client_id'])('refuses %s when it comes twice', async (name) => {
    const fields = new URLSearchParams({ ...CLIENT, ...grant, scope: 'read' })
    fields.append(name, fields.get(name) ?? '')

    const response = await app.post('/oauth/token/', fields.toString(), {
      'content-type': 'application/x-www-form-urlencoded',
    })

    expect([response.statusCode, response.json().error]).toEqual([400, 'invalid_request'])
  })

  it.each([
    ['malformed JSON', '{"grant_type"', 'application/json', 400],
    ['an array', '[]', 'application/json', 400],
    ['a number as user name', JSON.stringify({ ...CLIENT, ...grant, username: 5 }), 'application/json', 400],
    ['text', 'grant_type=password', 'text/plain', 415],
    ['XML', '<a/>', 'application/xml', 415],
  ])('answers in OAuth2 form to %s', async (_name, payload, type, status) => {
    const response = await app.post('/oauth/token/', payload, { 'content-type': type })

    expect(response.statusCode).toBe(status)
    expect(response.json()).toEqual({ error: 'invalid_request', error_description: expect.any(String) })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('answers 400 to no body at all', async () => {
    const response = await app.post('/oauth/token/')

    expect(response.statusCode).toBe(400)
    expect(['invalid_request', 'unsupported_grant_type']).toContain(response.json().error)
  })

  it('answers 429 in OAuth2 form after too many failures', async () => {
    const other = await app.addUser()
    const wrong = { ...CLIENT, ...grant, username: other.username, password: 'wrong' }
    for (let failure = 0; failure < 10; failure++) await app.form('/oauth/token/', wrong)

    const response = await app.form('/oauth/token/', wrong)

    expect(response.statusCode).toBe(429)
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
    expect(Object.keys(response.json()).toSorted()).toEqual(['error', 'error_description'])
  })
})

describe('POST /oauth/token/ with a refresh token', () => {
  it('answers a new pair and spends the old one', async () => {
    const first = await obtainPair()

    const response = await refreshWith(first.refresh_token)

    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ expires_in: 36000, token_type: 'Bearer', scope: 'read write' })
    expect(await statusOf(response.json().access_token)).toBe(200)
    expect(await statusOf(first.access_token)).toBe(401)
  })

  it('narrows the scope, never widens it', async () => {
    const { refresh_token: token } = await obtainPair({ scope: 'read' })

    const wider = await refreshWith(token, { scope: 'read write' })
    const same = await refreshWith(token)
    const full = await refreshWith((await obtainPair()).refresh_token, { scope: 'read' })

    expect([wider.statusCode, wider.json().error]).toEqual([400, 'invalid_scope'])
    expect([same.statusCode, same.json().scope]).toEqual([200, 'read'])
    expect([full.statusCode, full.json().scope]).toEqual([200, 'read'])
  })

  it('refuses a spent token and ends its sign-in', async () => {
    const first = await obtainPair()
    const second = (await refreshWith(first.refresh_token)).json<Pair>()

    const reuse = await refreshWith(first.refresh_token)

    expect([reuse.statusCode, reuse.json().error]).toEqual([400, 'invalid_grant'])
    expect(await statusOf(second.access_token)).toBe(401)
  })

  it.each(['', 'unknown', 'a.b.c', 'x'.repeat(50_000)])('refuses %#', async (token) => {
    const response = await refreshWith(token)

    expect(response.statusCode).toBe(400)
    expect(response.json().error).toBe(token === '' ? 'invalid_request' : 'invalid_grant')
  })

  it('refuses the token of another client and leaves it alone', async () => {
    const pair = await obtainPair()

    const foreign = await refreshWith(pair.refresh_token, OTHER)

    expect([foreign.statusCode, foreign.json().error]).toEqual([400, 'invalid_grant'])
    expect((await refreshWith(pair.refresh_token)).statusCode).toBe(200)
  })

  it('refuses an access token', async () => {
    expect((await refreshWith((await obtainPair()).access_token)).json().error).toBe('invalid_grant')
  })

  it('gives one of many simultaneous uses a pair', async () => {
    const { refresh_token: token } = await obtainPair()

    const responses = await Promise.all(Array.from({ length: 5 }, () => refreshWith(token)))

    expect(statusesOf(responses)).toEqual([200, 400, 400, 400, 400])
  })
})

function multipart(fields: Record<string, string>): [string, Record<string, string>] {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--cut\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  return [`${parts.join('')}--cut--\r\n`, { 'content-type': 'multipart/form-data; boundary=cut' }]
}
