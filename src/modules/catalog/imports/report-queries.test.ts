import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp } from '../../../../test/support/app.ts'
import { newId } from '../../../platform/ids.ts'
import { findImport, insertImport, saveCheckpoint } from './import-queries.ts'
import { insertProblems, listProblems } from './report-queries.ts'

let server: TestApp

beforeAll(async () => {
  server = await startTestApp({ role: 'api' })
})

afterAll(async () => {
  await server.close()
})

const nothing = { bytesRead: 0, created: 0, updated: 0, unchanged: 0, existing: [], problematic: 0, problematicIds: [] }

it('ends a report at its limit and goes on counting', async () => {
  const { userId: ownerId, username, email } = await server.signUp()
  const id = newId()
  const what = {
    mode: 'create',
    dryRun: true,
    isCompressed: false,
    isChecked: false,
    bytesTotal: 1,
    fileName: 'f',
  } as const
  const requestedAt = '2026-01-31T09:15:02.123456Z'

  await server.db.transaction(async (tx) => {
    await insertImport(tx, { id, ownerId, username, email, ...what, requestedAt })
    for (let batch = 0; batch < 3; batch++) {
      const items = [batch * 2 + 1, batch * 2 + 2]
      const problems = items.map((item) => ({ item, line: 1, id: null, element: 'g:id', rule: 'missing', value: null }))
      await insertProblems(tx, id, batch * 2, problems, 3)
      await saveCheckpoint(tx, id, { ...nothing, itemsRead: items[1]!, problems: problems.length })
    }
  })

  const listed = await listProblems(server.db, { importId: id, after: 0, limit: 100 })
  expect(listed.map(({ ordinal, item }) => [ordinal, item])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ])
  expect(await findImport(server.db, id)).toMatchObject({ problems: 6, itemsRead: 6 })
})
