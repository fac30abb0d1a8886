import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'

import { feedHead, feedItem, feedTail } from '../../bench/support/feed.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'

let souk: TestApp
let url: string

beforeAll(async () => {
  souk = await startTestApp()
  url = await souk.listen()
})

afterAll(async () => {
  await souk.close()
})

test('a newcomer uploads a feed, lists it, sees it on the socket, and the admin gets the mail', async () => {
  await souk.staff({ superuser: true })
  const ana = await souk.signUp('ana')
  const socket = await openSocket(ana)

  const uploaded = await upload(ana, feedHead + feedItem(1) + feedItem(2) + feedTail)

  expect(uploaded.status).toBe(201)
  expect(await uploaded.json()).toMatchObject({ created_product_ids: ['1_1', '2_2'], problems: [] })
  const list = await souk.inject({ method: 'GET', url: '/list-products/?sort_by=price', headers: ana.headers })
  expect(list.json()).toMatchObject({ count: 2, results: [{ id: '1_1' }, { id: '2_2' }] })
  const change = await socket.next()
  expect(change).toMatchObject({ type: 'change', topic: 'catalog.products.imported', actor: ana.userId })
  expect(await mailsWith('Product Upload Successful', 2)).toHaveLength(2)
  socket.close()
})

test('a broken feed changes nothing and the admin hears why', async () => {
  const ben = await souk.signUp('ben')

  const answer = await upload(ben, `${feedHead}${feedItem(7)}<oops>`)

  expect(answer.status).toBe(400)
  const detail = await souk.inject({ method: 'GET', url: '/product-detail/7_7/', headers: ben.headers })
  expect(detail.statusCode).toBe(404)
  const [mail] = await mailsWith('Product Upload Failed', 1)
  expect(mail).toContain('ben@example.com')
})

test('a signed-out newcomer is no longer heard, on the open socket either', async () => {
  const cleo = await souk.signUp('cleo')
  const socket = await openSocket(cleo)

  await souk.inject({ method: 'POST', url: '/logout/', headers: cleo.headers })

  expect(await socket.closed).toBe(4401)
  const check = await souk.inject({ method: 'GET', url: '/auth-protected-check/', headers: cleo.headers })
  expect(check.statusCode).toBe(401)
})

function upload(user: TestUser, feed: string): Promise<Response> {
  const form = new FormData()
  form.set('file', new Blob([feed], { type: 'application/xml' }), 'feed.xml')
  return fetch(`${url}/upload-products/`, { method: 'POST', headers: user.headers, body: form })
}

async function openSocket(user: TestUser) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/changes/`, { headers: user.headers })
  const closed = once(socket, 'close').then(([code]) => code as number)
  await once(socket, 'open')
  socket.send(JSON.stringify({ action: 'subscribe', topics: ['catalog.*'] }))
  await once(socket, 'message')
  const first = once(socket, 'message').then(([raw]) => JSON.parse(String(raw)) as unknown)
  return { next: () => first, close: () => socket.close(), closed }
}

/** The mails in the local mailbox with this subject, once there are as many as expected. */
async function mailsWith(subject: string, count: number): Promise<string[]> {
  const folder = join(souk.dataDir, 'mailbox')
  const until = Date.now() + 10_000
  for (;;) {
    const names = await readdir(folder, { recursive: true }).catch(() => [])
    const texts = await Promise.all(
      names.filter((name) => name.endsWith('.eml')).map((name) => readFile(join(folder, name), 'utf8')),
    )
    const found = texts.filter((text) => text.includes(`Subject: ${subject}`))
    if (found.length >= count || Date.now() > until) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
