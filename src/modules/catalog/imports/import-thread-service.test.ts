import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp } from '../../../../test/support/app.ts'
import { findImport, type ImportRow } from './import-queries.ts'
import { importThreadService } from './import-thread-service.ts'
import { openSpool } from './spool.ts'

let server: TestApp

beforeAll(async () => {
  // No worker of its own: the test starts and stops one.
  server = await startTestApp({ role: 'api' })
})

afterAll(async () => {
  await server.close()
})

const ITEMS = 10_000

function feed(): string {
  const item = (id: number): string =>
    `<item><g:id>t${id}</g:id><title>T</title><g:product_type>p</g:product_type><link>http://a.example</link>
    <description>d</description><g:image_link>http://a.example</g:image_link><g:price>1</g:price>
    <g:availability>a</g:availability><g:brand>b</g:brand><g:gtin>g</g:gtin><g:item_group_id>i</g:item_group_id>
    <g:condition>new</g:condition><g:age_group>a</g:age_group><g:color>c</g:color><g:gender>female</g:gender></item>`
  const items = Array.from({ length: ITEMS }, (_, id) => item(id))
  return `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>${items.join('')}</channel></rss>`
}

async function until(id: string, condition: (job: ImportRow) => boolean): Promise<ImportRow> {
  for (let tries = 0; tries < 2_000; tries++) {
    const job = await findImport(server.db, id)
    if (job !== undefined && condition(job)) return job
    await wait(5)
  }
  throw new Error('the import did not get there')
}

it('gives an import back when it stops and another goes on', async () => {
  const user = await server.signUp()
  const headers = { ...user.headers, 'content-type': 'application/xml' }
  const response = await server.inject({ method: 'POST', url: '/api/imports/', headers, payload: feed() })
  const { id } = response.json<{ id: string }>()
  const services = [1, 2].map(() =>
    importThreadService({ ...server, clock: server.app.clock }, openSpool(server.dataDir)),
  )

  await services[0]!.start()
  await until(id, (job) => job.itemsRead > 0)
  await services[0]!.stop()
  const atStop = await findImport(server.db, id)
  await services[1]!.start()
  const job = await until(id, (found) => found.finishedAt !== null)
  await services[1]!.stop()
  await services[1]!.stop()

  expect(atStop).toMatchObject({ state: 'running', finishedAt: null })
  expect(atStop!.itemsRead).toBeLessThan(ITEMS)
  expect(job).toMatchObject({ state: 'succeeded', itemsRead: ITEMS, created: ITEMS, existing: 0 })
})
