import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { feed, fieldPart, filePart, item, multipart, upload } from './product-feed-fixtures.ts'

let souk: TestApp
let user: TestUser

beforeAll(async () => {
  souk = await startTestApp()
  user = await souk.signUp()
})
afterAll(() => souk.close())

const ids = (response: LightMyRequestResponse) => response.json<List>().results.map((product) => product['id'])
const get = (url: string) => souk.inject({ method: 'GET', url, headers: user.headers })

interface List {
  count: number
  next: string | null
  previous: string | null
  results: Record<string, unknown>[]
  total_pages: number
}

describe('an empty catalogue', () => {
  it('has one page without results and no filter options', async () => {
    const list = await get('/list-products/')
    const last = await get('/list-products/?page=last')
    const second = await get('/list-products/?page=2')
    const options = await get('/filter-options/')

    const empty = { count: 0, next: null, previous: null, results: [], total_pages: 0 }
    expect(list.json()).toEqual(empty)
    expect(last.json()).toEqual(empty)
    expect(second.statusCode).toBe(404)
    expect(options.json()).toEqual({ conditions: [], genders: [], brands: [] })
  })
})

describe('POST /upload-products/', () => {
  it('answers 201 with the ids in file order and what is wrong with the rest', async () => {
    await upload(souk, user, feed(item('known')))

    const response = await upload(
      souk,
      user,
      feed(
        item('z-2'),
        item('broken', '<g:price>many</g:price>'),
        item('known'),
        item('a-1'),
        item('z-2'),
        '<item><title>No id</title></item>',
      ),
    )

    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({
      message: 'Products uploaded successfully',
      created_product_ids: ['z-2', 'a-1'],
      existing_product_ids: ['known', 'z-2'],
      problematic_product_ids: ['broken'],
      problems: [
        { item: 2, id: 'broken', reason: expect.any(String) as string },
        { item: 6, id: null, reason: expect.any(String) as string },
      ],
    })
  })

  it('is 201 for a feed without items', async () => {
    const response = await upload(souk, user, feed())

    expect(response.statusCode).toBe(201)
    expect(response.json()).toMatchObject({ created_product_ids: [], existing_product_ids: [], problems: [] })
  })

  it('stores the product object of the contract, every field present', async () => {
    await upload(
      souk,
      user,
      feed(
        item(
          'whole',
          `<g:sale_price>AED 150</g:sale_price><g:adult>YES</g:adult><options_percentage>12.5</options_percentage>
           <appLink property="iphone_url" content="shop://p/1"/><title>First title</title>`,
        ),
      ),
    )

    const detail = await get('/product-detail/whole/')

    expect(detail.json()).toEqual({
      id: 'whole',
      title: 'First title',
      product_type: 'Shoes',
      link: 'https://shop.example/whole',
      description: '<p>Good. Cheap.</p>',
      image_link: 'https://img.example/whole.jpg',
      price: '199.99',
      availability: 'in stock',
      brand: 'Acme',
      gtin: '4006381333931',
      item_group_id: 'group',
      condition: 'new',
      age_group: 'adult',
      color: 'black',
      gender: 'male',
      sale_price: '150.00',
      old_price: null,
      final_price: null,
      quantity: 3,
      adult: true,
      additional_images_count: 0,
      options_percentage: '12.50',
      discount_percent: null,
      gender_orig_value: null,
      google_product_category: null,
      adwords_labels: null,
      custom_label_0: null,
      custom_label_1: null,
      custom_label_2: null,
      custom_label_3: null,
      custom_label_4: null,
      ios_url: null,
      ios_app_store_id: null,
      ios_app_name: null,
      android_package: null,
      android_app_name: null,
      iphone_app_name: null,
      iphone_app_store_id: null,
      iphone_url: 'shop://p/1',
      icon_media_url: null,
      all_sizes_skus: null,
      sizes_of_all_skus: null,
      product_season: null,
      product_class: null,
    })
  })

  it('reads the first part file among other parts', async () => {
    const { headers, payload } = multipart(
      fieldPart('note', 'hello'),
      filePart(feed(item('not-this')), 'a.xml', 'other'),
      filePart(feed(item('this'))),
      filePart(feed(item('not-this-either'))),
    )

    const response = await souk.inject({
      method: 'POST',
      url: '/upload-products',
      headers: { ...headers, ...user.headers },
      payload,
    })

    expect(response.json()).toMatchObject({ created_product_ids: ['this'] })
  })

  it.each([
    ['no part file', multipart(fieldPart('other', 'x'))],
    ['file is a text field', multipart(fieldPart('file', 'null'))],
    ['nothing was picked', multipart(filePart('', ''))],
    ['no part at all', multipart()],
  ])('answers 400 "No file provided": %s', async (_case, { headers, payload }) => {
    const response = await souk.inject({
      method: 'POST',
      url: '/upload-products/',
      headers: { ...headers, ...user.headers },
      payload,
    })

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: 'No file provided', message: 'No file provided' })
  })

  it.each([
    ['empty', ''],
    ['not XML', 'PK\u0003\u0004 zipped'],
    ['cut off', feed(item('cut-1')).slice(0, -20)],
    ['not well-formed', feed(item('bad-1'), '<item></items>')],
    ['with a DOCTYPE', `<!DOCTYPE rss [<!ENTITY a "aaaa">]>${feed(item('bad-2')).replace(/<\?xml.*\?>/, '')}`],
    ['in a wrong encoding', Buffer.from(feed(item('bad-3', '<title>caf\u00e9</title>')), 'latin1')],
  ])('answers 400 with the reason and imports nothing of a file that is %s', async (_case, content) => {
    const response = await upload(souk, user, content)

    expect(response.statusCode).toBe(400)
    expect(response.headers['content-type']).toContain('application/problem+json')
    expect(response.json<{ error: string }>().error.length).toBeGreaterThan(5)
    for (const id of ['cut-1', 'bad-1', 'bad-2', 'bad-3']) {
      expect((await get(`/product-detail/${id}/`)).statusCode).toBe(404)
    }
  })

  it('names line and column', async () => {
    const response = await upload(souk, user, '<rss>\n<channel>\n  </wrong></rss>')

    expect(response.json<{ error: string }>().error).toMatch(/line 3, column \d+/)
  })

  it.each([
    ['application/json', '{}'],
    ['text/xml', '<rss/>'],
    ['application/x-www-form-urlencoded', 'file=x'],
  ])('answers 415 for %s', async (type, payload) => {
    const response = await souk.inject({
      method: 'POST',
      url: '/upload-products/',
      headers: { 'content-type': type, ...user.headers },
      payload,
    })

    expect(response.statusCode).toBe(415)
  })

  it('answers 401 to an anonymous upload and 405 to another method', async () => {
    const { headers, payload } = multipart(filePart(feed(item('anonymous'))))

    const anonymous = await souk.inject({ method: 'POST', url: '/upload-products/', headers, payload })
    const read = await get('/upload-products/')

    expect(anonymous.statusCode).toBe(401)
    expect(anonymous.headers['www-authenticate']).toBe('Bearer')
    expect(read.statusCode).toBe(405)
    expect(read.headers['allow']).toContain('POST')
  })

  it('creates each product once when the same feed comes many times at once in different orders', async () => {
    const ids = Array.from({ length: 1_200 }, (_, n) => `crowd-${n}`)
    const shuffled = () => feed(...ids.toSorted(() => Math.random() - 0.5).map((id) => item(id)))

    const responses = await Promise.all([1, 2, 3, 4].map(() => upload(souk, user, shuffled())))

    expect(responses.map((response) => response.statusCode)).toEqual([201, 201, 201, 201])
    const created = responses.flatMap(
      (response) => response.json<{ created_product_ids: string[] }>().created_product_ids,
    )
    expect(created.toSorted()).toEqual(ids.toSorted())
    const options = await get('/list-products/?brand=Acme&page_size=1')
    expect(options.json<List>().count).toBeGreaterThanOrEqual(1_200)
  })
})

describe('reading', () => {
  const brand = 'List & Co'
  const list = (query: string) => get(`/list-products/?brand=${encodeURIComponent(brand)}&${query}`)

  beforeAll(async () => {
    const products: [id: string, title: string, price: string, gender: string, more: string][] = [
      ['l-1', 'banana', '9.00', 'male', '<g:sale_price>7</g:sale_price>'],
      ['l-2', 'Apple', '100.00', 'female', ''],
      ['l-3', 'apple', '20.50', 'male', '<g:sale_price>3</g:sale_price>'],
      ['l-4', 'cherry', '20.50', 'unisex', '<product_class>A</product_class>'],
      ['l-5', 'apple', '1.00', 'male', ''],
      ['l-6', 'date', '0.00', 'female', ''],
      ['l-7', 'egg', '5', 'female', '<g:condition>used</g:condition>'],
    ]
    await upload(
      souk,
      user,
      feed(
        ...products.map(([id, title, price, gender, more]) =>
          item(
            id,
            `<title>${title}</title><g:price>${price}</g:price><g:gender>${gender}</g:gender><g:brand>List &amp; Co</g:brand>${more}`,
          ),
        ),
      ),
    )
  })

  it('sorts by title, bytewise, ties by id, five a page', async () => {
    const response = await list('')

    expect(ids(response)).toEqual(['l-2', 'l-3', 'l-5', 'l-1', 'l-4'])
    expect(response.json<List>()).toMatchObject({ count: 7, total_pages: 2, previous: null })
  })

  it.each([
    ['sort_by=title&order=desc&page_size=7', ['l-7', 'l-6', 'l-4', 'l-1', 'l-3', 'l-5', 'l-2']],
    ['sort_by=price&page_size=7', ['l-6', 'l-5', 'l-7', 'l-1', 'l-3', 'l-4', 'l-2']],
    ['sort_by=price&order=desc&page_size=3', ['l-2', 'l-3', 'l-4']],
    ['sort_by=sale_price&page_size=7', ['l-3', 'l-1', 'l-2', 'l-4', 'l-5', 'l-6', 'l-7']],
    ['sort_by=sale_price&order=desc&page_size=7', ['l-2', 'l-4', 'l-5', 'l-6', 'l-7', 'l-1', 'l-3']],
    ['sort_by=product_class&page_size=2', ['l-4', 'l-1']],
    ['sort_by=id&order=desc&page_size=2', ['l-7', 'l-6']],
    ['sort_by=quantity&page_size=2', ['l-1', 'l-2']],
    ['sort_by=adult&page_size=1&page=last', ['l-7']],
    ['page=2', ['l-6', 'l-7']],
    ['page=last&page_size=3', ['l-7']],
    ['sort_by=price&order=desc&page=last&page_size=2', ['l-6']],
    ['gender=female', ['l-2', 'l-6', 'l-7']],
    ['gender=female&condition=used', ['l-7']],
    ['gender=Female', []],
    ['condition=&gender=&sort_by=title&order=asc&page=2', ['l-6', 'l-7']],
  ])('answers %s', async (query, expected) => {
    const response = await list(query)

    expect(response.statusCode).toBe(200)
    expect(ids(response)).toEqual(expected)
  })

  it.each([
    ['page_size=0', 5],
    ['page_size=-3', 5],
    ['page_size=many', 5],
    ['page_size=1.5', 5],
    ['page_size=2', 2],
    ['page_size=101', 7],
    ['page_size=99999999999999999999999', 7],
  ])('takes %s as %i rows here', async (query, rows) => {
    expect(ids(await list(query))).toHaveLength(rows)
  })

  it.each([
    'page=0',
    'page=-1',
    'page=x',
    'page=1.0',
    'page=3',
    'page=99999999999999999999',
    'page=9999999999',
    'page=',
  ])('answers 404 to %s', async (query) => {
    const response = await list(query)

    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ error: 'Invalid page.', detail: 'Invalid page.' })
  })

  it.each([
    ['sort_by=nothing', 'sort_by'],
    ['sort_by=', 'sort_by'],
    ['sort_by=-title', 'sort_by'],
    ['sort_by=__proto__', 'sort_by'],
    ['sort_by=owner_id', 'sort_by'],
    ['order=up', 'order'],
    ['order=', 'order'],
    ['order=DESC', 'order'],
    ['brand=%00', 'brand'],
  ])('answers 400 to %s', async (query, field) => {
    const response = await get(`/list-products/?${query}`)

    expect(response.statusCode).toBe(400)
    const body = response.json<{ errors: Record<string, string[]> } & Record<string, unknown>>()
    expect(body.errors[field]?.[0]).toEqual(expect.any(String))
    expect(body[field]).toEqual(body.errors[field])
  })

  it.each([
    'page=1&page=2',
    'brand=a&brand=b',
    'sort_by=title&sort_by=price',
    'brand=%E0%A4%A',
    'brand=%ED%A0%80',
    'page[]=1',
    '__proto__=1',
    `brand=${'x'.repeat(10_000)}`,
  ])('never answers 500 to %s', async (query) => {
    expect((await get(`/list-products/?${query}`)).statusCode).toBeLessThan(500)
  })

  it('links the neighbouring pages and keeps the other parameters', async () => {
    const response = await souk.inject({
      method: 'GET',
      url: '/list-products?brand=List+%26+Co&page=2&page_size=3&sort_by=price',
      headers: { ...user.headers, host: 'shop.example:8080' },
    })

    const { next, previous } = response.json<List>()
    expect(new URL(next!).origin).toBe('http://shop.example:8080')
    expect(new URL(next!).pathname).toBe('/list-products')
    expect(Object.fromEntries(new URL(next!).searchParams)).toEqual({
      brand,
      page: '3',
      page_size: '3',
      sort_by: 'price',
    })
    expect(new URL(previous!).searchParams.get('page')).toBe('1')
  })

  it('visits every product exactly once by following next', async () => {
    const seen: unknown[] = []
    let next: string | null = '/list-products/?brand=List+%26+Co&page_size=2&sort_by=price&order=desc'
    while (next !== null) {
      const page: List = (await get(next.replace(/^http:\/\/[^/]+/, ''))).json<List>()
      seen.push(...page.results.map((product) => product['id']))
      next = page.next
    }

    expect(seen).toEqual(['l-2', 'l-3', 'l-4', 'l-1', 'l-7', 'l-5', 'l-6'])
  })

  it.each([
    ['a/b', 'a%2Fb'],
    ['.hidden.', '.hidden.'],
    ['50%', '50%25'],
    ['snowman ☃ 👗', encodeURIComponent('snowman ☃ 👗')],
    ['q?x=1&amp;y#z', encodeURIComponent('q?x=1&y#z')],
    ['👗'.repeat(50), encodeURIComponent('👗'.repeat(50))],
  ])('shows the product with the id %s', async (id, encoded) => {
    await upload(souk, user, feed(item('placeholder').replaceAll('placeholder', 'x').replace('<g:id>x', `<g:id>${id}`)))

    const response = await get(`/product-detail/${encoded}/`)

    expect(response.statusCode).toBe(200)
    expect(encodeURIComponent(response.json<{ id: string }>().id)).toBe(encodeURIComponent(decodeURIComponent(encoded)))
  })

  it.each(['unknown', '%00', 'a%2Fc', 'x'.repeat(2_000), '%F0%9F%98%80', "';--"])(
    'answers 404 "Product not found." for %s',
    async (encoded) => {
      const response = await get(`/product-detail/${encoded}/`)

      expect(response.json()).toMatchObject({ error: 'Product not found.', status: 404 })
    },
  )

  it('lists the filter options sorted', async () => {
    const response = await get('/filter-options')

    expect(response.json()).toEqual({
      conditions: ['new', 'used'],
      genders: ['female', 'male', 'unisex'],
      brands: ['Acme', 'List & Co'],
    })
  })

  it.each(['/list-products/', '/product-detail/l-1/', '/filter-options/'])(
    'refuses %s without a credential, readable from any origin',
    async (url) => {
      const response = await souk.inject({ method: 'GET', url, headers: { origin: 'https://elsewhere.example' } })

      expect(response.statusCode).toBe(401)
      expect(response.headers['www-authenticate']).toBe('Bearer')
      expect(['*', 'https://elsewhere.example']).toContain(response.headers['access-control-allow-origin'])
    },
  )

  it('shows a stranger the same shared list', async () => {
    const stranger = await souk.signUp()

    const response = await souk.inject({ method: 'GET', url: '/product-detail/l-1/', headers: stranger.headers })

    expect(response.statusCode).toBe(200)
  })

  it('withdraws the products of a deleted user at once and lets their ids be imported again', async () => {
    const seller = await souk.signUp()
    const products = feed(item('farewell', '<g:brand>Farewell</g:brand>'))
    await upload(souk, seller, products)

    await souk.inject({ method: 'DELETE', url: `/api/user/${seller.userId}`, headers: seller.headers })
    const gone = await get('/product-detail/farewell/')
    const filtered = await get('/list-products/?brand=Farewell')
    const again = await upload(souk, user, products)

    expect(gone.statusCode).toBe(404)
    expect(filtered.json<List>().count).toBe(0)
    expect(again.json()).toMatchObject({ created_product_ids: ['farewell'] })
  })
})

describe('the Postman collection of the original', () => {
  it('runs from log-in to filter options with a Token header and without final slashes', async () => {
    const { username, password } = user
    const health = await souk.inject({ method: 'GET', url: '/health-check/' })
    const login = await souk.inject({ method: 'POST', url: '/login/', payload: { username, password } })
    const headers = { authorization: `Token ${login.json<{ token: string }>().token}` }
    const body = multipart(filePart(feed(item('205042570_242'))))

    const uploaded = await souk.inject({
      method: 'POST',
      url: '/upload-products/',
      headers: { ...headers, ...body.headers },
      payload: body.payload,
    })
    const page = await souk.inject({ method: 'GET', url: '/list-products?page=2', headers })
    const detail = await souk.inject({ method: 'GET', url: '/product-detail/205042570_242/', headers })
    const options = await souk.inject({ method: 'GET', url: '/filter-options/', headers })

    expect(health.json()).toEqual({ status: 'ok' })
    expect(uploaded.statusCode).toBe(201)
    expect(page.json<List>().results).toHaveLength(5)
    expect(detail.json()).toMatchObject({ id: '205042570_242', price: '199.99' })
    expect(options.statusCode).toBe(200)
  })
})
