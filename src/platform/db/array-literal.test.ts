import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { arrayLiteral } from './array-literal.ts'
import { sql } from './sql.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0') && value.isWellFormed())

it('is read by PostgreSQL as the same elements', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(text)), async (elements) => {
      const row = await database.db.row<{ read: (string | null)[] }>(
        sql`SELECT ${arrayLiteral(elements)}::text[] AS read`,
      )

      expect(row?.read).toEqual(elements)
    }),
    { numRuns: 200 },
  )
})

it('takes words that mean something to PostgreSQL for text, and numbers and booleans for themselves', async () => {
  const row = await database.db.row(sql`
    SELECT ${arrayLiteral(['NULL', '', '{}', 'a,b'])}::text[] AS texts, ${arrayLiteral([1, -2, null])}::bigint[] AS numbers,
      ${arrayLiteral([true, false])}::boolean[] AS booleans`)

  expect(row).toMatchObject({ texts: ['NULL', '', '{}', 'a,b'], booleans: [true, false] })
})
