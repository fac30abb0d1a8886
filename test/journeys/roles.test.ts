import { afterAll, beforeAll, expect, test } from 'vitest'

import { assemble, type Souk } from '../../src/app.ts'
import { feedHead, feedItem, feedTail } from '../../bench/support/feed.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let souk: TestApp
let worker: Souk

beforeAll(async () => {
  souk = await startTestApp({ role: 'api' })
})

afterAll(async () => {
  await worker.stop()
  await souk.close()
})

test('what an api process accepts before any worker runs is done by the first worker that starts', async () => {
  await souk.staff({ superuser: true })
  const ana = await souk.signUp('ana')
  const url = await souk.listen()
  const form = new FormData()
  form.set('file', new Blob([feedHead, feedItem(1), feedItem(2), feedTail]), 'feed.xml')
  const accepted = await fetch(`${url}/api/imports/`, { method: 'POST', headers: ana.headers, body: form })
  const { id } = (await accepted.json()) as { id: string }

  worker = await assemble({
    config: souk.config,
    db: souk.db,
    clock: { now: () => new Date() },
    log: souk.log,
    role: 'worker',
  })
  await worker.start()

  await expect
    .poll(
      async () =>
        (await souk.inject({ method: 'GET', url: `/api/imports/${id}/`, headers: ana.headers })).json<{
          state: string
        }>().state,
      { timeout: 10_000 },
    )
    .toBe('succeeded')
  expect(worker.address).toBeUndefined()
})
