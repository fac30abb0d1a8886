import { afterAll, beforeAll, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { feed, item, upload } from './product-feed-fixtures.ts'

let souk: TestApp
let seller: TestUser

beforeAll(async () => {
  souk = await startTestApp()
  seller = await souk.signUp()
})
afterAll(() => souk.close())

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

async function send(method: Method, url: string, payload?: object): Promise<{ status: number; body: Body }> {
  const response = await souk.inject({ method, url, headers: seller.headers, ...(payload ? { payload } : {}) })
  return { status: response.statusCode, body: response.body === '' ? {} : response.json<Body>() }
}
type Body = Record<string, unknown>

/** Uploads one item and returns the path of its product in the store. */
async function uploaded(feedId: string, more = ''): Promise<string> {
  await upload(souk, seller, feed(item(feedId, more)))
  const row = await souk.db.row<{ id: string }>(sql`
    SELECT id FROM products WHERE feed_id = ${feedId} AND state <> 'DELETED'`)
  return `/api/products/${row?.id ?? ''}/`
}

const detail = async (feedId: string) => (await send('GET', `/product-detail/${feedId}/`)).body
const listed = async (brand: string) => (await send('GET', `/list-products/?brand=${brand}`)).body

it('shows a feed item as a product of its uploader, at its lowest price', async () => {
  const path = await uploaded('seen', '<g:sale_price>149.99 AED</g:sale_price>')

  const { body } = await send('GET', path)

  expect(body).toMatchObject({
    title: 'Title seen',
    price: 14_999,
    stock: { default: 3 },
    owner_user_id: seller.userId,
    state: 'AVAILABLE',
    sold_out: false,
  })
})

it('shows what is written here in the feed views, and nothing else of them changes', async () => {
  const path = await uploaded('written')
  const before = await detail('written')

  await send('PATCH', path, { title: 'New', description: 'Other.', price: 5_000, stock: { S: 4, M: 3 } })

  const changed = { title: 'New', description: 'Other.', price: '50.00', quantity: 7 }
  expect(await detail('written')).toEqual({ ...before, ...changed })
})

it('cleans a description that is written here as one of a feed', async () => {
  const path = await uploaded('cleaned')
  const hostile = '<b onclick="alert(1)">Fine</b><img src=x onerror=alert(1)><script>alert(1)</script> 5 < 6'

  const patched = await send('PATCH', path, { description: hostile })
  const shown = await detail('cleaned')
  const empty = await send('PATCH', path, { description: '<script>alert(1)</script>' })

  const description = '<b>Fine</b> 5 &lt; 6'
  expect(patched).toMatchObject({ status: 200, body: { description } })
  expect(shown).toMatchObject({ description })
  expect(empty).toMatchObject({ status: 400, body: { errors: { description: [expect.any(String)] } } })
  expect(await detail('cleaned')).toMatchObject({ description })
})

it('keeps the description of a product of no feed as it was written', async () => {
  const description = '<script>alert(1)</script> 5 < 6'

  const { body } = await send('POST', '/api/products/', { title: 'A', description, price: 1, stock: { default: 1 } })

  expect(body).toMatchObject({ description })
})

it('lets a new price win over lower prices of the feed', async () => {
  const path = await uploaded(
    'cheaper',
    '<g:sale_price>149.99 AED</g:sale_price><g:final_price>99.99 AED</g:final_price>',
  )

  const { body } = await send('PATCH', path, { price: 12_000 })

  expect(body).toMatchObject({ price: 12_000 })
  expect(await detail('cheaper')).toMatchObject({ price: '120.00', sale_price: '149.99', final_price: null })
})

it('leaves the prices of the feed alone when the price stays what it is', async () => {
  const path = await uploaded('same', '<g:sale_price>149.99 AED</g:sale_price>')

  await send('PUT', path, { title: 'New', description: 'Other.', price: 14_999, stock: { default: 1 } })

  expect(await detail('same')).toMatchObject({ title: 'New', price: '199.99', sale_price: '149.99', quantity: 1 })
})

it('does not hold a feed item to the limits of the store until they are written', async () => {
  const title = 'long '.repeat(50)
  const path = await uploaded('long', `<title>${title}</title>`)

  const read = await send('GET', path)
  const untouched = await send('PATCH', path, { price: 7 })
  const written = await send('PATCH', path, { title })

  expect(read.body).toMatchObject({ title: title.trim() })
  expect(untouched).toMatchObject({ status: 200, body: { title: title.trim(), price: 7 } })
  expect(written.status).toBe(400)
})

it('takes a withdrawn item out of both views and their counts, and puts it back', async () => {
  const path = await uploaded('moved', '<g:brand>Movers</g:brand>')
  await uploaded('stays', '<g:brand>Movers</g:brand>')

  await send('POST', `${path}withdraw/`)
  const without = await listed('Movers')
  const hidden = await send('GET', '/product-detail/moved/')
  await send('POST', `${path}publish/`)
  const withIt = await listed('Movers')

  expect(without).toMatchObject({ count: 1, results: [{ id: 'stays' }] })
  expect(hidden.status).toBe(404)
  expect(withIt).toMatchObject({ count: 2, results: [{ id: 'moved' }, { id: 'stays' }] })
})

it('takes a deleted item out of both views and lets its id be imported again', async () => {
  const path = await uploaded('gone', '<g:brand>Goners</g:brand>')

  const deleted = await send('DELETE', path)
  const [list, options] = [await listed('Goners'), await send('GET', '/filter-options/')]
  const again = await uploaded('gone', '<g:brand>Goners</g:brand>')

  expect(deleted.status).toBe(204)
  expect(list).toMatchObject({ count: 0, results: [] })
  expect(options.body['brands']).not.toContain('Goners')
  expect(again).not.toBe(path)
  expect(await listed('Goners')).toMatchObject({ count: 1, results: [{ id: 'gone' }] })
  expect((await send('GET', path)).status).toBe(404)
})

it('does not count the deletion of a withdrawn item twice', async () => {
  const path = await uploaded('twice', '<g:brand>Twice</g:brand>')

  await send('POST', `${path}withdraw/`)
  await send('DELETE', path)

  const counts = await souk.db.row(
    sql`SELECT coalesce(sum(change), 0)::integer AS sum FROM product_counts WHERE brand = 'Twice'`,
  )
  expect(counts).toEqual({ sum: 0 })
})
