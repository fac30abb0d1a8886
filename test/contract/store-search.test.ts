import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'
import { clientOf, NOTHING, sell as sellOne, type StoreClient } from './store-client.ts'

interface Product {
  id: string
  title: string
  state: string
  updated: string
}
interface Page {
  metadata: { page_size: number; offset_date: string | null; has_next: boolean; next_offset?: number | null }
  data: Product[]
}

let souk: TestApp
let seller: StoreClient
let sellerUser: TestUser
let stranger: StoreClient
let staff: StoreClient

beforeAll(async () => {
  souk = await startTestApp()
  stranger = clientOf(souk, (await souk.signUp()).headers)
  staff = clientOf(souk, (await souk.staff()).headers)
})
afterAll(() => souk.close())

/** Each test looks at the products of a seller of its own. */
beforeEach(async () => {
  sellerUser = await souk.signUp()
  seller = clientOf(souk, sellerUser.headers)
})

async function sell(title: string, more: object = {}): Promise<string> {
  const id = await sellOne(seller, { title, ...more })
  expect(id).toBeTypeOf('string')
  return id
}

async function find(query: Record<string, string>, caller = stranger): Promise<Page> {
  const parameters = new URLSearchParams({ owner_user_id: sellerUser.userId, ...query })
  const answer = await caller.get(`/api/products/?${parameters.toString()}`)
  expect(answer.statusCode).toBe(200)
  return answer.json<Page>()
}

const titles = (page: Page): string[] => page.data.map((product) => product.title)
const findTitles = async (query: Record<string, string>) => titles(await find(query))

async function makeTag(name: string): Promise<string> {
  const answer = await staff.post('/api/tags/', { name, description: 'A tag.' })
  return answer.json<{ id: string }>().id
}

describe('GET /api/products/', () => {
  it('shows everybody the newest first, by the last change', async () => {
    const oldest = await sell('oldest')
    await sell('middle')
    await sell('newest')

    await seller.patch(`/api/products/${oldest}/`, { price: 7 })

    expect(await findTitles({})).toEqual(['oldest', 'newest', 'middle'])
    const everybody = await stranger.get('/api/products/?page_size=3')
    expect(titles(everybody.json<Page>())).toEqual(['oldest', 'newest', 'middle'])
    expect((await find({})).metadata.page_size).toBe(20)
  })

  it('shows the product as its own path does', async () => {
    const id = await sell('The same')

    const [listed] = (await find({})).data

    expect(listed).toEqual((await stranger.get(`/api/products/${id}/`)).json())
  })

  it('hides drafts and what was deleted, in the same moment', async () => {
    const withdrawn = await sell('Withdrawn')
    const deleted = await sell('Deleted')
    await sell('Draft', { state: 'DRAFT' })
    expect(await findTitles({ search_term: 'd' })).toEqual(['Deleted', 'Withdrawn'])

    await seller.post(`/api/products/${withdrawn}/withdraw/`)
    await seller.delete(`/api/products/${deleted}/`)
    expect(await findTitles({})).toEqual([])

    await seller.post(`/api/products/${withdrawn}/publish/`)
    expect(await findTitles({ search_term: 'withdrawn' })).toEqual(['Withdrawn'])
  })

  it('finds a product by what it is now, in the same moment', async () => {
    const id = await sell('Woollen scarf', { description: 'Keeps warm.' })
    expect(await findTitles({ search_term: 'scarf' })).toEqual(['Woollen scarf'])

    await seller.patch(`/api/products/${id}/`, { title: 'Woollen hat' })

    expect(await findTitles({ search_term: 'scarf' })).toEqual([])
    expect(await findTitles({ search_term: 'LEN HA' })).toEqual(['Woollen hat'])
  })

  it('finds a product by its tags, until they are renamed, deleted or taken from it', async () => {
    const [linen, summer] = [await makeTag('Línen wear'), await makeTag('Summer time')]
    const id = await sell('Tagged', { tags: [linen, summer] })
    expect(await findTitles({ search_term: 'LINEN W' })).toEqual(['Tagged'])
    expect(await findTitles({ tag: summer })).toEqual(['Tagged'])
    expect(await findTitles({ tag: summer.toUpperCase() })).toEqual(['Tagged'])
    // No term runs over two tags, or from the description into one.
    expect(await findTitles({ search_term: 'wear summer' })).toEqual([])

    await staff.patch(`/api/tags/${linen}/`, { name: 'Flax' })
    expect(await findTitles({ search_term: 'linen w' })).toEqual([])
    expect(await findTitles({ search_term: 'flax' })).toEqual(['Tagged'])

    await staff.delete(`/api/tags/${summer}/`)
    expect(await findTitles({ search_term: 'summer time' })).toEqual([])
    expect(await findTitles({ tag: summer })).toEqual([])

    await seller.patch(`/api/products/${id}/`, { tags: [] })
    expect(await findTitles({ search_term: 'flax' })).toEqual([])
    expect(await findTitles({ tag: linen })).toEqual([])
  })

  it.each([
    ['in the title', 'shirt', ['100% Linén_Shirt \\ blue']],
    ['in the description', 'WOVEN BY', ['100% Linén_Shirt \\ blue']],
    ['over the border of two words', 'n_sh', ['100% Linén_Shirt \\ blue']],
    ['without case', 'LINÉN', ['100% Linén_Shirt \\ blue']],
    ['without accents', 'linen_', ['100% Linén_Shirt \\ blue']],
    ['a percent sign', '0% l', ['100% Linén_Shirt \\ blue']],
    ['a percent sign that is none of it', 'l%n', []],
    ['an underscore that is none of it', 'sh_rt', []],
    ['an underscore', '_', ['100% Linén_Shirt \\ blue']],
    ['a backslash', ' \\ ', ['100% Linén_Shirt \\ blue']],
    ['two letters', 'sh', ['100% Linén_Shirt \\ blue']],
    ['from title to description', 'blue woven', []],
    ['a word that is further on', 'shirt blue', []],
    ['nothing', '', ['other', '100% Linén_Shirt \\ blue']],
    ['an accent alone', '\u0301', ['other', '100% Linén_Shirt \\ blue']],
    ['half of an operator', "'; DROP TABLE products; --", []],
    ['sharp s by its capitals', 'GROSSE', ['100% Linén_Shirt \\ blue']],
    ['a long word by its middle', 'x'.repeat(300), ['100% Linén_Shirt \\ blue']],
  ])('contains literally: %s', async (_what, term, found) => {
    await sell('100% Linén_Shirt \\ blue', { description: `Woven by hand. Große! ${'x'.repeat(400)}` })
    await sell('other', { description: 'thing' })

    expect(await findTitles({ search_term: term })).toEqual(found)
  })

  it('restricts to a seller, and to a tag', async () => {
    await sell('Mine')

    expect(await findTitles({ owner_user_id: NOTHING })).toEqual([])
    expect(await findTitles({ owner_user_id: sellerUser.userId.toUpperCase() })).toEqual(['Mine'])
    expect(await findTitles({ tag: NOTHING })).toEqual([])
  })

  it('restricts to a range of prices', async () => {
    await sell('cheap', { price: 100 })
    await sell('dear', { price: 5000 })

    expect(await findTitles({ min_price: '101' })).toEqual(['dear'])
    expect(await findTitles({ max_price: '100' })).toEqual(['cheap'])
    expect(await findTitles({ min_price: '100', max_price: '5000' })).toEqual(['dear', 'cheap'])
    expect(await findTitles({ min_price: '5001' })).toEqual([])
  })

  it.each([
    ['page_size=0', 'page_size'],
    ['page_size=ten', 'page_size'],
    ['offset=1', 'offset'],
    ['offset=', 'offset'],
    ['owner_user_id=17', 'owner_user_id'],
    ['tag=shirts', 'tag'],
    ['min_price=-1', 'min_price'],
    ['min_price=1e3', 'min_price'],
    ['max_price=99999999999999999999', 'max_price'],
    ['facets=yes', 'facets'],
    ['sort=price', 'sort'],
    ['sort=relevance', 'search_term'],
    ['sort=relevance&search_term=%20', 'search_term'],
    ['sort=relevance&search_term=a&offset=2025-02-11T13:21:54Z', 'offset'],
    ['sort=relevance&search_term=a&offset=1001', 'offset'],
    ['sort=relevance&search_term=a&page_size=0', 'page_size'],
    [`search_term=${'x'.repeat(1001)}`, 'search_term'],
    ['search_term=a%00b', 'search_term'],
  ])('refuses %s', async (query, field) => {
    const answer = await stranger.get(`/api/products/?${query}`)

    expect(answer.statusCode).toBe(400)
    expect(Object.keys(answer.json<{ errors: object }>().errors)).toEqual([field])
  })

  it('takes 100 where more are asked for, and terms of every kind', async () => {
    expect((await find({ page_size: '5000' })).metadata.page_size).toBe(100)
    for (const term of ['(', '🧵', '\u200b', 'ß'.repeat(1000), '\uffff', ' '.repeat(500), '"a b', '*', ':*&|!']) {
      expect(await findTitles({ search_term: term })).toEqual([])
      expect(
        (await stranger.get(`/api/products/?facets=true&search_term=${encodeURIComponent(term)}`)).statusCode,
      ).toBe(200)
    }
  })

  it('needs a credential', async () => {
    expect((await souk.inject({ method: 'GET', url: '/api/products/' })).statusCode).toBe(401)
    expect((await souk.inject({ method: 'GET', url: `/api/users/${NOTHING}/products/` })).statusCode).toBe(401)
  })

  it('visits every product once, page by page, though many share a time', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `product ${index}`)
    for (const name of names) await sell(name)
    // Pairs of times, and one of five products: as two processes may write them.
    const tied = sql`timestamptz '2025-01-01' + least(place / 2, 3) * interval '1 second'`
    const placed = sql`(SELECT id, row_number() OVER (ORDER BY updated) - 1 AS place FROM products WHERE owner_id = ${sellerUser.userId}) placed`
    await souk.db.run(sql`UPDATE products SET updated = ${tied} FROM ${placed} WHERE placed.id = products.id`)
    await souk.db.run(sql`UPDATE product_search SET updated = p.updated FROM products p WHERE p.id = product_id`)

    const pages: Page[] = []
    for (let query: Record<string, string> = {}; ;) {
      const page = await find({ search_term: 'product', page_size: '2', ...query })
      pages.push(page)
      if (!page.metadata.has_next) break
      query = { offset: page.metadata.offset_date! }
    }

    const seen = pages.flatMap(titles)
    expect(seen).toHaveLength(12)
    expect(new Set(seen)).toEqual(new Set(names))
    expect(pages.at(-1)?.data.length).toBeGreaterThan(0)
  })

  it('shows an empty page without a date', async () => {
    expect(await find({})).toEqual({ metadata: { page_size: 20, offset_date: null, has_next: false }, data: [] })
  })
})

describe('GET /api/users/{id}/products/', () => {
  const list = (caller: StoreClient, query = '') => caller.get(`/api/users/${sellerUser.userId}/products/${query}`)

  it('shows the products of one user, drafts to that user alone', async () => {
    await sell('Sold')
    await sell('Kept back', { state: 'DRAFT' })

    expect(titles((await list(seller)).json<Page>())).toEqual(['Kept back', 'Sold'])
    expect(titles((await list(seller, '?search_term=kept')).json<Page>())).toEqual(['Kept back'])
    expect(titles((await list(stranger)).json<Page>())).toEqual(['Sold'])
    expect(titles((await list(stranger, '?search_term=kept')).json<Page>())).toEqual([])
    expect(titles((await list(seller, '?search_term=kept&sort=relevance')).json<Page>())).toEqual(['Kept back'])
  })

  it('pages like the list of everybody', async () => {
    for (const title of ['one', 'two', 'three']) await sell(title)

    const first = (await list(stranger, '?page_size=2')).json<Page>()
    const second = (await list(stranger, `?page_size=2&offset=${first.metadata.offset_date}`)).json<Page>()

    expect(titles(first)).toEqual(['three', 'two'])
    expect(first.metadata.has_next).toBe(true)
    expect(titles(second)).toEqual(['one'])
    expect(second.metadata.has_next).toBe(false)
    expect((await list(stranger, '?page_size=0')).json()).toHaveProperty('errors.page_size')
  })

  it('answers 404 to a user that is unknown or deleted', async () => {
    await sell('Left behind')
    await seller.delete(`/api/user/${sellerUser.userId}/`)

    expect((await list(stranger)).statusCode).toBe(404)
    expect((await stranger.get(`/api/users/${NOTHING}/products/`)).statusCode).toBe(404)
    expect((await stranger.get('/api/users/17/products/')).statusCode).toBe(404)
    expect(await findTitles({ search_term: 'left' })).toEqual([])
  })
})

describe('sort=relevance', () => {
  const best = (term: string, more: Record<string, string> = {}) =>
    findTitles({ sort: 'relevance', search_term: term, ...more })

  it('puts titles before tags before descriptions', async () => {
    const tag = await makeTag('Velvet things')
    await sell('Velvet')
    await sell('Curtain', { tags: [tag] })
    await sell('Sofa', { description: 'Covered with velvet.' })
    await sell('Velvet sofa with cushions')
    await sell('Chair', { description: 'Nothing.' })

    expect(await best('velvet')).toEqual(['Velvet', 'Velvet sofa with cushions', 'Curtain', 'Sofa'])
  })

  it.each([
    ['letters exchanged', 'lampshdae'],
    ['a letter missing', 'lampshde'],
    ['a letter too many', 'lamppshade'],
    ['a wrong letter', 'lampshabe'],
    ['words in another order', 'brass lampshade'],
    ['an error in one of two words', 'lampshade bras'],
  ])('finds in spite of %s', async (_what, term) => {
    await sell('Lampshade of brass')
    await sell('Lampion')

    expect(await best(term)).toEqual(['Lampshade of brass'])
  })

  it('puts what contains the term before what is only like it', async () => {
    await sell('Teapots')
    await sell('Teaport inn')

    expect(await best('teaport')).toEqual(['Teaport inn', 'Teapots'])
  })

  it('is paged by the number of results to skip', async () => {
    for (const title of ['Kettle', 'Kettle one', 'Kettle two more']) await sell(title)

    const first = await find({ sort: 'relevance', search_term: 'kettle', page_size: '2' })
    const second = await find({
      sort: 'relevance',
      search_term: 'kettle',
      page_size: '2',
      offset: String(first.metadata.next_offset),
    })

    expect(titles(first)).toEqual(['Kettle', 'Kettle one'])
    expect(first.metadata).toMatchObject({ page_size: 2, has_next: true, next_offset: 2 })
    expect(titles(second)).toEqual(['Kettle two more'])
    expect(second.metadata).toMatchObject({ has_next: false, next_offset: null })
  })

  it('finds nothing where nothing is like it, and keeps to the other filters', async () => {
    await sell('Armchair', { price: 100 })

    expect(await best('qxzvjk')).toEqual([])
    expect(await best('armchiar', { min_price: '101' })).toEqual([])
    expect(await best('armchiar', { max_price: '101' })).toEqual(['Armchair'])
    expect(await best('(*&')).toEqual([])
  })
})

describe('facets=true', () => {
  it('counts over everything that passes the filters, not only the page', async () => {
    const tag = await makeTag('Counted')
    await sell('Counted shirt', { price: 900, tags: [tag] })
    await sell('Counted shirt', { price: 999 })
    await sell('Counted hat', { price: 1000 })
    await sell('Not this', { price: 1000, tags: [tag] })

    const page = await find({ search_term: 'counted', facets: 'true', page_size: '1' })

    expect(page).toMatchObject({
      metadata: { has_next: true },
      facets: {
        counted: 4,
        exact: true,
        brand: [],
        price: [
          { min_price: 0, max_price: 999, count: 2 },
          { min_price: 1000, max_price: 2499, count: 2 },
        ],
        tag: [{ id: tag, name: 'Counted', count: 2 }],
        seller: [{ id: sellerUser.userId, username: sellerUser.username, count: 4 }],
      },
    })
    expect(await find({ facets: 'false' })).not.toHaveProperty('facets')
    const next = await find({
      search_term: 'counted',
      facets: 'true',
      page_size: '1',
      offset: page.metadata.offset_date!,
    })
    expect(next).toMatchObject({ facets: { counted: 4 } })
  })

  it('counts brand, condition and gender of feed products, which filter by them', async () => {
    await souk.inject({
      method: 'POST',
      url: '/upload-products/',
      headers: { ...sellerUser.headers, 'content-type': 'multipart/form-data; boundary=x' },
      payload: upload([
        ['a', 'Acme', 'new', 'male'],
        ['b', 'Acme', 'used', 'female'],
        ['c', 'Zenith', 'new', 'male'],
      ]),
    })

    const page = await find({ search_term: 'feed shirt', facets: 'true' })

    expect(page).toMatchObject({
      facets: {
        counted: 3,
        brand: [
          { value: 'Acme', count: 2 },
          { value: 'Zenith', count: 1 },
        ],
        condition: [
          { value: 'new', count: 2 },
          { value: 'used', count: 1 },
        ],
        gender: [
          { value: 'male', count: 2 },
          { value: 'female', count: 1 },
        ],
      },
    })
    expect(await findTitles({ brand: 'Acme', condition: 'new' })).toEqual(['Feed shirt a'])
    expect(await findTitles({ gender: 'female' })).toEqual(['Feed shirt b'])
    expect(await findTitles({ brand: 'acme' })).toEqual([])
  })
})

function upload(items: [id: string, brand: string, condition: string, gender: string][]): string {
  const xml = items.map(
    ([id, brand, condition, gender]) => `<item><g:id>${sellerUser.username}-${id}</g:id><title>Feed shirt ${id}</title>
<g:product_type>Clothing</g:product_type><link>https://shop.example/${id}</link><description>Fine.</description>
<g:image_link>https://shop.example/${id}.jpg</g:image_link><g:price>199.99 AED</g:price><g:availability>in stock</g:availability>
<g:brand>${brand}</g:brand><g:gtin>4006381333931</g:gtin><g:item_group_id>s</g:item_group_id><g:condition>${condition}</g:condition>
<g:age_group>adult</g:age_group><g:color>white</g:color><g:gender>${gender}</g:gender><g:quantity>3</g:quantity></item>`,
  )
  const feed = `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>${xml.join('')}</channel></rss>`
  return `--x\r\nContent-Disposition: form-data; name="file"; filename="f.xml"\r\nContent-Type: text/xml\r\n\r\n${feed}\r\n--x--\r\n`
}
