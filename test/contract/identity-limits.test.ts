import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { PASSWORD, startIdentityApp, statusesOf, type IdentityApp, type TestUser } from './identity-app.ts'

let app: IdentityApp
let user: TestUser

beforeAll(async () => {
  app = await startIdentityApp({ TRUST_PROXY: '127.0.0.1' })
})
beforeEach(async () => {
  user = await app.addUser()
})
afterAll(() => app.close())

const signIn = (password: string, username = user.username, from = '10.0.0.1') =>
  app.post('/api/auth/login/', { username, password }, { 'x-forwarded-for': from })

async function fail(times: number, username = user.username): Promise<number[]> {
  const statuses: number[] = []
  for (let attempt = 0; attempt < times; attempt++) statuses.push((await signIn('wrong', username)).statusCode)
  return statuses
}

it('hears ten failures, and refuses the eleventh and whatever comes after it', async () => {
  const statuses = await fail(12)

  expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429])
  const right = await signIn(PASSWORD)
  expect(right.statusCode).toBe(429)
  expect(right.headers['retry-after']).toMatch(/^[1-9]\d*$/)
  expect(Number(right.headers['retry-after'])).toBeLessThanOrEqual(300)
  expect(right.json()).toMatchObject({ status: 429, error: expect.any(String) })
})

it('lets the right password through after ten failures', async () => {
  await fail(10)

  expect((await signIn(PASSWORD)).statusCode).toBe(200)
})

it('hears the user again when the window has passed', async () => {
  await fail(11)

  app.clock.advance(290)
  expect((await signIn(PASSWORD)).statusCode).toBe(429)
  app.clock.advance(11)
  expect((await signIn(PASSWORD)).statusCode).toBe(200)
})

it('slides: failures leave the window one by one', async () => {
  await fail(6)
  app.clock.advance(200)
  await fail(5)
  expect((await signIn(PASSWORD)).statusCode).toBe(429)

  app.clock.advance(101)

  expect((await fail(6)).at(-1)).toBe(429)
})

it('counts the user name and the e-mail of one user together', async () => {
  await fail(6)
  await fail(4, user.email ?? '')

  expect((await signIn('wrong')).statusCode).toBe(429)
})

it('locks out neither other users from there nor the user from elsewhere', async () => {
  const other = await app.addUser()
  await fail(11)

  expect((await signIn(PASSWORD, other.username)).statusCode).toBe(200)
  expect((await signIn(PASSWORD, user.username, '10.0.0.2')).statusCode).toBe(200)
})

it('takes the addresses of one IPv6 network for one', async () => {
  for (let host = 1; host <= 10; host++) await signIn('wrong', user.username, `2001:db8:1:2::${host}`)

  expect((await signIn('wrong', user.username, '2001:db8:1:2:9::9')).statusCode).toBe(429)
  expect((await signIn(PASSWORD, user.username, '2001:db8:1:3::1')).statusCode).toBe(200)
})

it('limits unknown names as it limits known ones', async () => {
  expect(await fail(12, 'nobody-at-all')).toEqual([...Array<number>(10).fill(401), 429, 429])
})

it.each(['/api/auth/signin/', '/api/token/', '/api/login/', '/login/'])('holds at %s', async (url) => {
  const attempt = () => app.post(url, { username: user.username, password: 'wrong' }, { 'x-forwarded-for': '10.0.0.3' })
  for (let failure = 0; failure < 10; failure++) expect((await attempt()).statusCode).toBeLessThan(429)

  expect((await attempt()).statusCode).toBe(429)
})

it('answers exactly ten of many simultaneous guesses, and none of them with success past the limit', async () => {
  const guesses = await Promise.all(Array.from({ length: 40 }, () => signIn('wrong')))

  const statuses = guesses.map((response) => response.statusCode)
  expect(statuses.filter((status) => status === 401)).toHaveLength(10)
  expect(statuses.filter((status) => status === 429)).toHaveLength(30)
  expect((await signIn(PASSWORD)).statusCode).toBe(429)
})

it('leaves one row for thousands of wrong passwords and a bounded number for thousands of names', async () => {
  await app.db.run(sql`DELETE FROM sign_in_failures`)
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 100 }, () => signIn('wrong')))
  }

  const rows = await app.db.rows<{ kept: number }>(sql`SELECT cardinality(times) AS kept FROM sign_in_failures`)

  expect(rows).toEqual([{ kept: 11 }])
  expect(await app.db.row(sql`SELECT count(*) AS count FROM sign_ins WHERE user_id = ${user.id}`)).toEqual({ count: 0 })
})

it('checks and counts with one look-up', async () => {
  app.takeStatements()

  await signIn('wrong')

  const selects = app.takeStatements().filter((text) => /^\s*SELECT/.test(text))
  expect(selects).toHaveLength(1)
})

it('can be switched off', async () => {
  const unlimited = await startIdentityApp({ SIGNIN_FAILURE_LIMIT: '0' })
  const { username } = await unlimited.addUser()
  const attempts = Array.from({ length: 15 }, () => unlimited.post('/api/auth/login/', { username, password: 'wrong' }))

  const statuses = statusesOf(await Promise.all(attempts))

  expect(new Set(statuses)).toEqual(new Set([401]))
  await unlimited.close()
})
