import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { changeWhileOrdering } from './changing-goods.ts'
import { crossBags } from './crossing.ts'
import { raceForLastUnits } from './last-units.ts'
import { openMarket, type Market } from './market.ts'

let database: TestDatabase
let folder: string
let market: Market

beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'souk-race-'))
  market = await openMarket({ folder, databaseUrl: database.url, shape: 'two processes', buyers: 500 })
})

afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

// More rounds, more shapes and more time: npm run chaos.
test.each(['orders', 'bags'] as const)(
  '500 buyers at two processes get exactly the last 50 units, by %s',
  async (way) => {
    expect(await raceForLastUnits(market, way)).toEqual([])
  },
)

test('orders and bags that cross each other all go through', async () => {
  const { problems } = await crossBags(market, 2)

  expect(problems).toEqual([])
})

test('orders cross changes of what they order', async () => {
  const { problems } = await changeWhileOrdering(market, 2)

  expect(problems).toEqual([])
})

test('nothing of this made a process complain or the database break a deadlock', async () => {
  expect(await market.close()).toEqual([])
})
