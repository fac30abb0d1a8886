import { afterAll, beforeAll, expect, test } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let souk: TestApp

beforeAll(async () => {
  souk = await startTestApp()
})

afterAll(async () => {
  await souk.close()
})

interface Hit {
  table: string
  row: string
}

/** Every row of every table as text. */
async function findInDatabase(words: string[]): Promise<Hit[]> {
  const tables = await souk.db.rows<{ name: string }>(
    sql`SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  )
  const client = await souk.db.connect('souk test')
  const hits: Hit[] = []
  try {
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(
        `SELECT t::text AS row FROM "${name}" t WHERE ${words.map((_, n) => `t::text LIKE '%' || $${n + 1} || '%'`).join(' OR ')}`,
        words,
      )
      hits.push(...rows.map(({ row }) => ({ table: name, row })))
    }
  } finally {
    await client.end()
  }
  return hits
}

test('no password, token, refresh token or client secret is stored in the clear, in the log or anywhere else', async () => {
  const password = 'canary-password-93517'
  const account = { username: 'canary', email: 'canary@example.com', password }
  const signUp = await souk.inject({ method: 'POST', url: '/api/auth/signup/', payload: account })
  const jwts = signUp.json<{ access: string; refresh: string }>()
  const login = await souk.inject({ method: 'POST', url: '/login/', payload: account })
  const { token } = login.json<{ token: string }>()
  const session = await souk.inject({ method: 'POST', url: '/api/login/', payload: account })
  const cookie = session.cookies.find((candidate) => candidate.name === 'sessionid')!.value
  const headers = { authorization: `Token ${token}` }
  const { id } = signUp.json<{ user: { id: string } }>().user
  const changed = 'canary-password-20461'
  await souk.inject({
    method: 'POST',
    url: `/api/users/${id}/update-password/`,
    headers,
    payload: { old_password: password, new_password: changed },
  })
  await souk.inject({ method: 'DELETE', url: `/api/user/${id}/`, headers })
  await souk.drain()

  const hits = await findInDatabase([password, changed, token, jwts.access, jwts.refresh, cookie])

  expect(hits).toEqual([])
})

test('the log carries no password hash', async () => {
  const rows = await souk.db.rows<{ data: string }>(
    sql`SELECT data::text AS data FROM changes UNION ALL SELECT data::text FROM outbox`,
  )

  expect(rows.length).toBeGreaterThan(0)
  expect(rows.filter(({ data }) => /argon2|\$argon|password/i.test(data))).toEqual([])
})
