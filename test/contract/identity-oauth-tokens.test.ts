import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { bearer, CLIENT, PASSWORD, startIdentityApp, type IdentityApp, type TestUser } from './identity-app.ts'

let app: IdentityApp
let user: TestUser

beforeAll(async () => {
  app = await startIdentityApp()
  user = await app.addUser({ username: 'ada' })
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
const refreshWith = (token: string) =>
  app.form('/oauth/token/', { ...CLIENT, grant_type: 'refresh_token', refresh_token: token })
const statusOf = async (token: string) => (await app.get('/api/users/me/', bearer(token))).statusCode
const revoke = (token: string, fields = {}) => app.form('/oauth/revoke_token/', { ...CLIENT, token, ...fields })
const introspect = async (token: string) => (await app.form('/oauth/introspect/', { ...CLIENT, token })).json()

describe('POST /oauth/revoke_token/', () => {
  it('refuses an access token at once and leaves its refresh token', async () => {
    const pair = await obtainPair()

    const response = await revoke(pair.access_token)

    expect(response.statusCode).toBe(200)
    expect(response.body).toBe('')
    expect(response.headers['cache-control']).toBe('no-store')
    expect(await statusOf(pair.access_token)).toBe(401)
    expect((await refreshWith(pair.refresh_token)).statusCode).toBe(200)
  })

  it('ends the access token with the refresh token', async () => {
    const pair = await obtainPair()

    await revoke(pair.refresh_token, { token_type_hint: 'refresh_token' })

    expect(await statusOf(pair.access_token)).toBe(401)
    expect((await refreshWith(pair.refresh_token)).statusCode).toBe(400)
  })

  it('answers 200 to a token that does not exist', async () => {
    const response = await revoke('unknown')

    expect([response.statusCode, response.body]).toEqual([200, ''])
  })

  it('leaves tokens of other clients and other kinds alone', async () => {
    const pair = await obtainPair()
    const { token } = (await app.post('/api/auth/login/', { username: 'ada', password: PASSWORD })).json()

    const foreign = await revoke(pair.access_token, OTHER)
    const apiToken = await revoke(token)

    expect([foreign.statusCode, apiToken.statusCode]).toEqual([200, 200])
    expect(await statusOf(pair.access_token)).toBe(200)
    expect(await statusOf(token)).toBe(200)
  })

  it.each([
    ['a wrong secret', { ...CLIENT, client_secret: 'wrong', token: 'x' }, 401, 'invalid_client'],
    ['no client', { token: 'x' }, 401, 'invalid_client'],
    ['no token', CLIENT, 400, 'invalid_request'],
  ])('refuses %s', async (_name, fields, status, error) => {
    const response = await app.form('/oauth/revoke_token/', fields)

    expect([response.statusCode, response.json().error]).toEqual([status, error])
  })
})

describe('POST /oauth/introspect/', () => {
  it('tells what a live token stands for', async () => {
    const pair = await obtainPair({ scope: 'read' })

    const answer = await introspect(pair.access_token)

    expect(answer).toEqual({
      active: true,
      scope: 'read',
      username: user.username,
      client_id: CLIENT.client_id,
      exp: expect.any(Number),
    })
    expect(Math.abs(answer.exp - app.clock.now().getTime() / 1000 - 36_000)).toBeLessThan(60)
  })

  it.each([
    ['unknown', async () => 'unknown'],
    [
      'revoked',
      async () => {
        const { access_token: token } = await obtainPair()
        await app.form('/oauth/revoke_token/', { ...CLIENT, token })
        return token
      },
    ],
    [
      'of a deleted user',
      async () => {
        const other = await app.addUser()
        const { access_token: token } = await obtainPair({ username: other.username })
        await app.send({ method: 'DELETE', url: `/api/user/${other.id}/`, headers: bearer(token) })
        return token
      },
    ],
  ])('answers only that it is not active when the token is %s', async (_name, obtain) => {
    expect(await introspect(await obtain())).toEqual({ active: false })
  })

  it.each([
    ['a wrong secret', { ...CLIENT, client_secret: 'wrong', token: 'x' }, 401, 'invalid_client'],
    ['no token', CLIENT, 400, 'invalid_request'],
  ])('refuses %s', async (_name, fields, status, error) => {
    const response = await app.form('/oauth/introspect/', fields)

    expect([response.statusCode, response.json().error]).toEqual([status, error])
  })
})
