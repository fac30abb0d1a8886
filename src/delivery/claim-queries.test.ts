import { afterAll, beforeAll, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import type { Sql } from '../platform/db/sql.ts'
import { claim, findWaiting } from './claim-queries.ts'
import type { Connection } from './connection.ts'

const WAITING = 100_000

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  const client = await database.db.connect('souk test')
  await client.query(`
    INSERT INTO deliveries (id, kind, destination, payload)
    SELECT gen_random_uuid(), 'mail', CASE WHEN n % 1000 = 0 THEN 'small-' || n % 7 ELSE 'huge' END, '{}'
      FROM generate_series(1, ${WAITING}) n`)
  await client.query(
    `INSERT INTO delivery_workers VALUES ('00000000-0000-7000-8000-000000000001', now() + interval '1 hour')`,
  )
  await client.query('ANALYZE')
  await client.end()
})
afterAll(() => database.drop())

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Shared Hit Blocks': number
  Plans?: Plan[]
}

/** Catches the statement instead of running it. */
async function statementOf(call: (rows: Connection['rows']) => Promise<unknown>): Promise<Sql> {
  let caught: Sql | undefined
  await call(async (statement) => {
    caught = statement
    return []
  })
  return caught!
}

/** The plan as a worker's connection makes it, and what it really touched; what it did is taken back. */
async function explain(statement: Sql): Promise<Plan> {
  const client = await database.db.connect('souk test')
  try {
    await client.query('SET enable_seqscan = off; BEGIN')
    const result = await client.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`, statement.values)
    return (result.rows as { 'QUERY PLAN': { Plan: Plan }[] }[])[0]!['QUERY PLAN'][0]!.Plan
  } finally {
    await client.end()
  }
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
}

test('a claim reads as many rows as it takes, however many wait', async () => {
  const request = { limit: 20, after: undefined }
  const requests = ['huge', 'small-0', 'small-3'].map((destination) => ({ kind: 'mail', destination, ...request }))
  const statement = await statementOf((rows) =>
    claim(rows, '00000000-0000-7000-8000-000000000001', requests, new Date()),
  )

  const plan = await explain(statement)

  const scans = nodesOf(plan).filter(
    (node) => node['Relation Name'] === 'deliveries' && node['Node Type'].includes('Scan'),
  )
  expect(plan['Actual Rows']).toBeGreaterThan(20)
  expect(scans.map((scan) => scan['Node Type'])).not.toContain('Seq Scan')
  expect(Math.max(...scans.map((scan) => scan['Actual Rows'] * scan['Actual Loops']))).toBeLessThanOrEqual(60)
  expect(plan['Shared Hit Blocks']).toBeLessThan(2_000)
})

test('finding the destinations that wait takes one step for each, however many deliveries each has', async () => {
  const statement = await statementOf((rows) => findWaiting(rows, ['mail', 'test'], new Date()))

  const plan = await explain(statement)

  const scans = nodesOf(plan).filter((node) => node['Relation Name'] === 'deliveries')
  expect(plan['Actual Rows']).toBe(8)
  expect(scans.reduce((sum, scan) => sum + scan['Actual Rows'] * scan['Actual Loops'], 0)).toBeLessThanOrEqual(10)
  expect(plan['Shared Hit Blocks']).toBeLessThan(200)
})
