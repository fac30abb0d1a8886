import { afterAll, beforeAll, expect, it } from 'vitest'

import { ensureOauthClient } from '../../src/modules/identity/index.ts'
import { budgets, unmeasured, type Budget } from './budgets.ts'
import { startCountedApp, type CountedApp } from './counted-app.ts'
import { createWorld, type World } from './world.ts'

const MANY = 100

let app: CountedApp
let small: World
let large: World
beforeAll(async () => {
  app = await startCountedApp()
  await ensureOauthClient({ db: app.test.db, config: app.test.config })
  small = await createWorld(app.test, 1)
  large = await createWorld(app.test, MANY)
})
afterAll(() => app.test.close())

it('has a budget for every operation', () => {
  const { paths } = app.test.app.openapi() as { paths: Record<string, object> }

  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )

  const budgeted = new Set([...Object.keys(budgets).map((name) => name.replace(/ \(.*/, '')), ...unmeasured])
  expect([...budgeted].toSorted()).toEqual(operations.toSorted())
})

/** A budget that nothing uses up is too large: the next one to add a statement would not be told. */
it.each(Object.entries(budgets))('%s stays within its budget, with one row and with many', async (_, budget) => {
  const withOne = await statementsOf(budget, small)
  const withMany = await statementsOf(budget, large)

  expect(withOne.length > withMany.length ? withOne : withMany).toHaveLength(budget[0])
})

async function statementsOf([, requestOf]: Budget, world: World): Promise<string[]> {
  const { response, sent } = await app.count(await requestOf(world))
  if (response.statusCode >= 400) throw new Error(`answered ${response.statusCode}: ${response.body}`)
  return sent.map((statement) => statement.text)
}
