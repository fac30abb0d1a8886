import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { createToyServer } from '../../../test/support/toy-server.ts'
import { createDb, type Db } from '../db/db.ts'
import { sql } from '../db/sql.ts'
import type { App } from './app.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ poolSize: 2 })
})
afterAll(() => database.drop())

const routes = (toy: App): void => {
  toy.get('/now/', { config: { access: 'open' } }, async () => toy.db.row(sql`SELECT 1 AS one`))
  toy.get('/slow/', { config: { access: 'open' } }, async () => toy.db.row(sql`SELECT pg_sleep(1)`))
  toy.get('/killed/', { config: { access: 'open' } }, async () =>
    toy.db.row(sql`SELECT pg_terminate_backend(pg_backend_pid())`),
  )
  toy.get('/text/', { config: { access: 'open' } }, async () => toy.db.row(sql`SELECT ${'a\0'}::text`))
  toy.get('/timeout/', { config: { access: 'open' } }, async () =>
    toy.db.transaction(async (tx) => {
      await tx.run(sql`SET LOCAL statement_timeout = 50`)
      return tx.row(sql`SELECT pg_sleep(5)`)
    }),
  )
}

it('answers 503 with Retry-After while the database is away, and is healthy but not ready', async () => {
  const db = createDb({
    url: 'postgres://souk@127.0.0.1:1/souk',
    poolSize: 2,
    applicationName: 'test',
    log: pino({ level: 'silent' }),
  })
  const app = await createToyServer({ db, routes })
  app.readinessChecks.add('noted', async () => ({ note: 'nothing waits' }))

  const answer = await app.inject({ url: '/now/' })
  const health = await app.inject({ url: '/healthz' })
  const ready = await app.inject({ url: '/readyz' })

  expect(answer.statusCode).toBe(503)
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  expect(health.statusCode).toBe(200)
  expect(ready.statusCode).toBe(503)
  expect(ready.json()).toMatchObject({
    status: 503,
    detail: 'Not ready: database (failed).',
    checks: { database: 'failed', noted: 'ok, nothing waits' },
  })
  await app.close()
  await db.close()
})

it.each([
  ['a killed connection', '/killed/', 503],
  ['a statement time-out', '/timeout/', 503],
  ['text that cannot be stored', '/text/', 400],
])('answers %s and works on', async (_name, url, status) => {
  const app = await createToyServer({ db: database.db, routes })

  const answer = await app.inject({ url })
  const next = await app.inject({ url: '/now/' })

  expect(answer.statusCode).toBe(status)
  expect(next.json()).toEqual({ one: 1 })
  await app.close()
})

it('refuses at once when too many requests wait for a connection, except where no database is needed', async () => {
  const app = await createToyServer({
    db: database.db,
    routes,
    env: { DATABASE_POOL_SIZE: '2' },
    limits: { waitingPerConnection: 3 },
  })
  const slow = Array.from({ length: 9 }, () => app.inject({ url: '/slow/' }))
  await new Promise((resolve) => setTimeout(resolve, 100))
  const started = performance.now()

  const refused = await app.inject({ url: '/now/' })
  const took = performance.now() - started
  const health = await app.inject({ url: '/healthz' })

  expect(refused.statusCode).toBe(503)
  expect(refused.headers['retry-after']).toBe('1')
  expect(took).toBeLessThan(200)
  expect(health.statusCode).toBe(200)
  expect((await Promise.all(slow)).filter((answer) => answer.statusCode === 200).length).toBeGreaterThanOrEqual(8)
  await app.close()
})

it('asks the database once for probes that come together', async () => {
  let statements = 0
  const counting: Db = { ...database.db, row: async () => void (statements += 1) }
  const app = await createToyServer({ db: counting })

  const answers = await Promise.all(Array.from({ length: 20 }, () => app.inject({ url: '/readyz' })))

  expect(answers.every((answer) => answer.statusCode === 200)).toBe(true)
  expect(statements).toBeLessThan(20)
  await app.close()
})

it('names every check that fails', async () => {
  const app = await createToyServer()
  app.readinessChecks.add('lag', async () => '12 changes behind')
  app.readinessChecks.add('broken', async () => {
    throw new Error('secret host name')
  })

  const answer = await app.inject({ url: '/readyz' })

  expect(answer.json()).toMatchObject({ checks: { database: 'ok', lag: '12 changes behind', broken: 'failed' } })
  expect(answer.body).not.toContain('secret')
  await app.close()
})
