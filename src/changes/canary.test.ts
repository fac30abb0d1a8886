import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { startChangeLog, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { sql } from '../platform/db/sql.ts'
import { defineTopic, recordChange } from './index.ts'

const CANARY = 'canary-5f0c1b7e'

const signedUp = defineTopic({
  name: 'test.user.signed-up',
  description: 'Somebody has signed up.',
  subject: 'user',
  heardBy: 'staff',
  data: Type.Object({ name: Type.String(), address: Type.Object({ city: Type.String() }) }),
})

let database: TestDatabase
let log: TestLog

beforeAll(async () => {
  database = await createTestDatabase()
  log = await startChangeLog(database.db)
})

afterAll(async () => {
  await log.stop()
  await database.drop()
})

/** A row as a careless caller would hand it over, secrets included. */
function careless(): { name: string; address: { city: string } } {
  const row = { name: 'Ann', passwordHash: CANARY, address: { city: 'Cádiz', token: CANARY } }
  return row
}

async function tablesWith(text: string): Promise<string[]> {
  const tables = await database.db.rows<{ name: string }>(sql`
    SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname ~ '^(outbox|change|parked|subscriber)'`)
  const found: string[] = []
  for (const { name } of tables) {
    const client = await database.db.connect('souk canary')
    const result = await client.query(`SELECT FROM ${name} AS rows WHERE rows::text LIKE $1`, [`%${text}%`])
    await client.end()
    if (result.rowCount! > 0) found.push(name)
  }
  return found
}

it('keeps secrets of a careless caller out of every table of the log', async () => {
  const recording = database.db.transaction((tx) =>
    recordChange(tx, { topic: signedUp, subjectId: '1', actor: null, audience: ['staff'], data: careless() }),
  )
  await expect(recording).rejects.toThrow('additional')
  await expect(recording).rejects.not.toThrow(CANARY)

  const { name, address } = careless()
  await database.db.transaction((tx) =>
    recordChange(tx, {
      topic: signedUp,
      subjectId: '1',
      actor: null,
      audience: ['staff'],
      data: { name, address: { city: address.city } },
    }),
  )
  await log.drain()

  expect(await tablesWith(CANARY)).toEqual([])
  // The search itself finds what is there.
  expect((await tablesWith('Cádiz')).toSorted()).toEqual(['changes_1', 'outbox_0'])
})
