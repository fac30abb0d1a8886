import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../test/support/app.ts'
import { sql } from '../../platform/db/sql.ts'

let souk: TestApp
let user: TestUser
let star: TestUser
let statements: string[] = []

beforeAll(async () => {
  // The api role alone: services of the worker would send statements of their own.
  souk = await startTestApp({ role: 'api', onStatement: (text) => statements.push(text) })
  user = await souk.signUp()
  star = await souk.signUp()
  await souk.db.run(sql`
    WITH people AS (
      INSERT INTO users (id, username, password_hash)
      SELECT gen_random_uuid(), 'person-' || n, '' FROM generate_series(1, 150) AS n RETURNING id
    ), numbered AS (SELECT id, now() - make_interval(secs => row_number() OVER ()) AS followed_at FROM people)
    INSERT INTO follows (id, follower_id, followed_id, followed_at)
    SELECT gen_random_uuid(), id, ${star.userId}::uuid, followed_at FROM numbered
    UNION ALL SELECT gen_random_uuid(), ${user.userId}::uuid, id, followed_at FROM numbered`)
  const payload = { title: 'Mug', description: 'A mug.', price: 100, stock: { default: 1 } }
  await souk.inject({ method: 'POST', url: '/api/products/', headers: star.headers, payload })
})
afterAll(() => souk.close())

const isOurs = (text: string) =>
  /\b(follows|follow_counts|product_search|outbox|pg_advisory_xact_lock_shared|u\.username)\b/.test(text)

async function cost(method: 'GET' | 'POST' | 'DELETE', path: string): Promise<number> {
  statements = []
  const url = path.replace('{star}', star.userId)
  const { statusCode } = await souk.inject({ method, url, headers: user.headers })
  expect(statusCode).toBeLessThan(300)
  return statements.filter(isOurs).length - AUTHENTICATION
}

/** The statement that authenticates names the user, too. */
const AUTHENTICATION = 1

it.each([
  ['GET', '/api/users/{star}/followers/?page_size=5', 3],
  ['GET', '/api/users/{star}/followers/?page_size=100', 3],
  ['POST', '/api/users/{star}/follow/', 4],
  ['GET', '/api/feed/', 2],
  ['GET', '/api/users/{star}/', 2],
  ['POST', '/api/users/{star}/follow/', 4],
  ['DELETE', '/api/users/{star}/follow/', 3],
] as const)('answers %s %s with %i statements beside authentication', async (method, path, budget) => {
  expect(await cost(method, path)).toBe(budget)
})
