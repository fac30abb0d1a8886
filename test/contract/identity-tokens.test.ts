import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { bearer, PASSWORD, startIdentityApp, statusesOf, type IdentityApp, type TestUser } from './identity-app.ts'

let app: IdentityApp
let user: TestUser

beforeAll(async () => {
  app = await startIdentityApp()
  user = await app.addUser({ username: 'ada' })
})
afterAll(() => app.close())

interface Pair {
  access: string
  refresh: string
}

async function obtainPair(username = 'ada'): Promise<Pair> {
  return (await app.post('/api/token/', { username, password: PASSWORD })).json()
}

const refreshWith = (refresh: unknown) => app.post('/api/token/refresh/', { refresh })
const statusOf = async (token: string) => (await app.get('/api/users/me/', bearer(token))).statusCode

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe('POST /api/token/refresh/', () => {
  it('answers a new pair and spends the token', async () => {
    const first = await obtainPair()

    const response = await refreshWith(first.refresh)

    expect(response.statusCode).toBe(200)
    const second = response.json<Pair>()
    expect(Object.keys(second).toSorted()).toEqual(['access', 'refresh'])
    expect(second.refresh).not.toBe(first.refresh)
    expect(await statusOf(second.access)).toBe(200)
  })

  it('ends the sign-in when a spent token is shown again', async () => {
    const first = await obtainPair()
    const second = (await refreshWith(first.refresh)).json<Pair>()

    const reuse = await refreshWith(first.refresh)

    expect(reuse.statusCode).toBe(401)
    expect(reuse.json()).toMatchObject({ code: 'token_not_valid', status: 401 })
    expect(await statusOf(first.access)).toBe(401)
    expect(await statusOf(second.access)).toBe(401)
    expect((await refreshWith(second.refresh)).statusCode).toBe(401)
    const revoked = (await app.changes('identity.sign-in.revoked')).at(-1)
    expect(revoked?.data).toMatchObject({ user_id: user.id, reason: 'refresh-reused' })
  })

  it('lets one of many simultaneous uses win and takes the rest for theft', async () => {
    const pair = await obtainPair()

    const responses = await Promise.all(Array.from({ length: 6 }, () => refreshWith(pair.refresh)))

    const statuses = statusesOf(responses)
    expect(statuses).toEqual([200, 401, 401, 401, 401, 401])
    const winner = responses.find((response) => response.statusCode === 200)
    expect(await statusOf(winner?.json().access)).toBe(401)
  })

  it('leaves other sign-ins alone when one is revoked for reuse', async () => {
    const other = await obtainPair()
    const pair = await obtainPair()
    await refreshWith(pair.refresh)
    await refreshWith(pair.refresh)

    expect(await statusOf(other.access)).toBe(200)
    expect((await refreshWith(other.refresh)).statusCode).toBe(200)
  })

  it.each([
    ['a missing token', {}],
    ['a number', { refresh: 5 }],
    ['null', { refresh: null }],
  ])('answers 400 to %s', async (_name, payload) => {
    const response = await app.post('/api/token/refresh/', payload)

    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toHaveProperty('refresh')
  })

  it.each(['', 'x', 'a.b.c', '...', `${'a'.repeat(100_000)}.b.c`, 'null', 'é.é.é'])(
    'answers 401 to %#',
    async (token) => {
      const response = await refreshWith(token)

      expect(response.statusCode).toBe(401)
      expect(response.json().code).toBe('token_not_valid')
    },
  )

  it('refuses an access token', async () => {
    const pair = await obtainPair()

    expect((await refreshWith(pair.access)).statusCode).toBe(401)
  })

  it('refuses an expired token, 30 days old', async () => {
    const pair = await obtainPair()

    app.clock.advance(30 * 86_400 + 1)

    expect((await refreshWith(pair.refresh)).statusCode).toBe(401)
  })

  it.each(['deleted', 'inactive'])('refuses the token of a %s user', async (state) => {
    const other = await app.addUser()
    const pair = await obtainPair(other.username)
    const change = state === 'deleted' ? sql`deleted = now(), is_active = false` : sql`is_active = false`
    await app.db.run(sql`UPDATE users SET ${change} WHERE id = ${other.id}`)

    expect((await refreshWith(pair.refresh)).statusCode).toBe(401)
    expect(await statusOf(pair.access)).toBe(401)
  })
})

describe('a JWT access token', () => {
  it('ends after a day', async () => {
    const { access } = await obtainPair()

    app.clock.advance(86_400 - 30)
    expect(await statusOf(access)).toBe(200)
    app.clock.advance(60)
    expect(await statusOf(access)).toBe(401)
  })

  it('is no refresh token and the reverse', async () => {
    const { refresh } = await obtainPair()

    expect(await statusOf(refresh)).toBe(401)
  })

  it('is refused at once when its sign-in is revoked', async () => {
    const { access, refresh } = await obtainPair()

    await app.post('/api/auth/logout/', undefined, bearer(access))

    expect(await statusOf(access)).toBe(401)
    expect((await refreshWith(refresh)).statusCode).toBe(401)
  })

  it.each([
    ['alg none', (claims: object) => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`],
    ['alg None', (claims: object) => `${encode({ alg: 'None' })}.${encode(claims)}.`],
    ['alg none with a signature', (claims: object) => `${encode({ alg: 'none' })}.${encode(claims)}.c2ln`],
    ['another key', (claims: object) => signHmac('HS256', 'sha256', claims, 'another key')],
    ['an empty key', (claims: object) => signHmac('HS256', 'sha256', claims, '')],
    ['the bare secret', (claims: object) => signHmac('HS256', 'sha256', claims, 'a secret for tests only')],
    ['HS512', (claims: object) => signHmac('HS512', 'sha512', claims, 'a secret for tests only')],
    ['RS256', (claims: object) => signRsa(claims)],
    ['no signature', (claims: object) => `${encode({ alg: 'HS256' })}.${encode(claims)}.`],
    ['no algorithm', (claims: object) => `${encode({})}.${encode(claims)}.`],
  ])('is refused when forged with %s', async (_name, forge) => {
    const { access } = await obtainPair()
    expect(await statusOf(access)).toBe(200)

    expect(await statusOf(forge(claimsOf(access)))).toBe(401)
  })

  it('is refused when a claim was changed under the old signature', async () => {
    const { access } = await obtainPair()
    const [header, , signature] = access.split('.')
    const claims = encode({ ...claimsOf(access), user_id: randomUUID() })

    expect(await statusOf(`${header}.${claims}.${signature}`)).toBe(401)
  })

  it.each([
    '.',
    '..',
    '...',
    'a.b',
    'a.b.c',
    '.a.',
    'e30.e30.',
    `${'a'.repeat(9000)}.b.c`,
    'bnVsbA.bnVsbA.x',
    'x'.repeat(9000),
  ])('is refused when it is garbage: %#', async (token) => {
    expect(await statusOf(token)).toBe(401)
  })

  it('is refused when another server signed it', async () => {
    const other = await startIdentityApp({ SECRET_KEY: 'the secret of another server' })
    await other.addUser({ username: 'ada' })
    const foreign = (await other.post('/api/token/', { username: 'ada', password: PASSWORD })).json<Pair>()
    await other.close()

    expect(await statusOf(foreign.access)).toBe(401)
  })
})

function signHmac(alg: string, hash: string, claims: object, key: string): string {
  const input = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
}

function signRsa(claims: object): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const input = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`
}
