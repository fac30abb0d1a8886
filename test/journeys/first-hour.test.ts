import { afterAll, beforeAll, expect, test } from 'vitest'

import { feedHead, feedItem, feedTail } from '../../bench/support/feed.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { listen, mailsWith, uploadFeed } from '../support/visitor.ts'

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
  const socket = await listen(url, ana, 'catalog.*')

  const uploaded = await uploadFeed(url, ana, feedHead + feedItem(1) + feedItem(2) + feedTail)

  expect(uploaded.status).toBe(201)
  expect(await uploaded.json()).toMatchObject({ created_product_ids: ['1_1', '2_2'], problems: [] })
  const list = await souk.inject({ method: 'GET', url: '/list-products/?sort_by=price', headers: ana.headers })
  expect(list.json()).toMatchObject({ count: 2, results: [{ id: '1_1' }, { id: '2_2' }] })
  const change = await socket.first()
  expect(change).toMatchObject({ type: 'change', topic: 'catalog.products.imported', actor: ana.userId })
  expect(await mailsWith(souk, 'Subject: Product Upload Successful', 2)).toHaveLength(2)
  socket.close()
})

test('a broken feed changes nothing and the admin hears why', async () => {
  const ben = await souk.signUp('ben')

  const answer = await uploadFeed(url, ben, `${feedHead}${feedItem(7)}<oops>`)

  expect(answer.status).toBe(400)
  const detail = await souk.inject({ method: 'GET', url: '/product-detail/7_7/', headers: ben.headers })
  expect(detail.statusCode).toBe(404)
  const [mail] = await mailsWith(souk, 'Subject: Product Upload Failed')
  expect(mail).toContain('ben@example.com')
})

test('a signed-out newcomer is no longer heard, on the open socket either', async () => {
  const cleo = await souk.signUp('cleo')
  const socket = await listen(url, cleo, 'catalog.*')

  await souk.inject({ method: 'POST', url: '/logout/', headers: cleo.headers })

  expect(await socket.closed).toBe(4401)
  const check = await souk.inject({ method: 'GET', url: '/auth-protected-check/', headers: cleo.headers })
  expect(check.statusCode).toBe(401)
})
