import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { ensureOauthClient } from '../../src/modules/identity/index.ts'
import { sql } from '../../src/platform/db/sql.ts'
import { newId } from '../../src/platform/ids.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'

const CLIENT = { client_id: 'store-tests', client_secret: 'store-tests-secret' }

let souk: TestApp
let seller: TestUser
let stranger: TestUser
let readOnly: { authorization: string }

beforeAll(async () => {
  souk = await startTestApp({ env: { OAUTH_CLIENT_ID: CLIENT.client_id, OAUTH_CLIENT_SECRET: CLIENT.client_secret } })
  seller = await souk.signUp()
  stranger = await souk.signUp()
  await ensureOauthClient(souk)
  const { username, password } = seller
  const token = await souk.inject({
    method: 'POST',
    url: '/oauth/token/',
    payload: { grant_type: 'password', username, password, scope: 'read', ...CLIENT },
  })
  readOnly = { authorization: `Bearer ${token.json<{ access_token: string }>().access_token}` }
})
afterAll(() => souk.close())

interface Product {
  id: string
  title: string
  description: string
  price: number
  stock: Record<string, number>
  owner_user_id: string
  tags: { id: string; name: string; description: string }[]
  state: string
  sold_out: boolean
  created: string
  updated: string
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Errors = { errors: Record<string, string[]> }

/** Names nothing. */
const NOTHING = '01234567-89ab-7def-8123-456789abcdef'

const shirt = { title: 'Linen shirt', description: 'A light shirt.', price: 1999, stock: { S: 2, M: 0 } }

function send(
  method: Method,
  url: string,
  payload?: object,
  headers: Record<string, string> = seller.headers,
): Promise<LightMyRequestResponse> {
  return souk.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
}

async function create(more: object = {}, owner = seller): Promise<Product> {
  return (await send('POST', '/api/products/', { ...shirt, ...more }, owner.headers)).json<Product>()
}

async function show(id: string, user = seller): Promise<Product> {
  return (await send('GET', `/api/products/${id}/`, undefined, user.headers)).json<Product>()
}

async function addTag(isDeleted = false): Promise<{ id: string; name: string; description: string }> {
  const id = newId()
  const [name, description] = [`tag ${id}`, 'A tag']
  await souk.db.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated, deleted)
    VALUES (${id}, ${name}, ${description}, ${name}, ${name}, now(), now(), ${isDeleted ? new Date() : null})`)
  return { id, name, description }
}

async function countProducts(): Promise<number> {
  const row = await souk.db.row<{ count: number }>(sql`SELECT count(*) AS count FROM products`)
  return row?.count ?? 0
}

const manyVariants = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`v${n}`, n]))

describe('POST /api/products/', () => {
  it('answers 201 with the product and its address', async () => {
    const [second, first] = [await addTag(), await addTag()]

    const response = await send('POST', '/api/products/', { ...shirt, tags: [first.id, second.id] })

    const product = response.json<Product>()
    expect(response.statusCode).toBe(201)
    expect(response.headers.location).toBe(`/api/products/${product.id}/`)
    expect(product).toEqual({
      id: expect.any(String) as string,
      ...shirt,
      owner_user_id: seller.userId,
      tags: [first, second],
      state: 'AVAILABLE',
      sold_out: false,
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string,
      updated: product.created,
    })
    expect(await show(product.id, stranger)).toEqual(product)
  })

  it('keeps a draft from everybody else', async () => {
    const draft = await create({ state: 'DRAFT' })

    const own = await send('GET', `/api/products/${draft.id}/`)
    const foreign = await send('GET', `/api/products/${draft.id}/`, undefined, stranger.headers)

    expect(draft.state).toBe('DRAFT')
    expect(own.statusCode).toBe(200)
    expect(foreign.statusCode).toBe(404)
  })

  it('ignores what the server assigns and what it does not know', async () => {
    const id = newId()

    const product = await create({ id, owner_user_id: stranger.userId, created: '2001-01-01T00:00:00Z', colour: 'red' })

    expect(product.id).not.toBe(id)
    expect(product.owner_user_id).toBe(seller.userId)
    expect(product.created > '2001-01-02').toBe(true)
    expect(product).not.toHaveProperty('colour')
  })

  it.each([
    ['a title of 100 characters beyond the basic plane', { title: '🧵'.repeat(100) }],
    ['a description of 1000 characters', { description: 'é'.repeat(1000) }],
    ['the smallest price', { price: 1 }],
    ['the largest price', { price: 2_147_483_647 }],
    ['the largest stock', { stock: { default: 2_147_483_647 } }],
    ['100 variants', { stock: manyVariants(100) }],
    ['a name of 50 characters beyond the basic plane', { stock: { ['🧵'.repeat(50)]: 1 } }],
    ['names that objects have by themselves', { stock: { constructor: 1, toString: 2, hasOwnProperty: 3, toJSON: 4 } }],
    ['names with quotes and line breaks', { stock: { 'a"b\\c,{d}': 1, 'e\nf': 2, ' g': 3, '7': 4 } }],
    ['text with quotes', { title: `O'Brien "x" \\ {1,2}`, description: '<b>&amp;\n' }],
  ])('takes %s', async (_name, members) => {
    const product = await create(members)

    expect(product).toMatchObject(members)
    expect(await show(product.id)).toEqual(product)
  })

  it.each([
    ['title', 'absent', { title: undefined }],
    ['title', 'empty', { title: '' }],
    ['title', 'blank', { title: ' \t\n' }],
    ['title', 'too long', { title: 'x'.repeat(101) }],
    ['title', 'a number', { title: 5 }],
    ['title', 'null', { title: null }],
    ['title', 'with a null character', { title: 'a\u0000b' }],
    ['description', 'absent', { description: undefined }],
    ['description', 'empty', { description: '' }],
    ['description', 'too long', { description: 'x'.repeat(1001) }],
    ['price', 'absent', { price: undefined }],
    ['price', 'zero', { price: 0 }],
    ['price', 'negative', { price: -1 }],
    ['price', 'broken', { price: 1.5 }],
    ['price', 'text', { price: '2' }],
    ['price', 'null', { price: null }],
    ['price', 'too large', { price: 2_147_483_648 }],
    ['price', 'far too large', { price: 1e300 }],
    ['stock', 'absent', { stock: undefined }],
    ['stock', 'null', { stock: null }],
    ['stock', 'empty', { stock: {} }],
    ['stock', 'a list', { stock: [] }],
    ['stock', 'a number', { stock: 5 }],
    ['stock', 'of 101 variants', { stock: manyVariants(101) }],
    ['stock', 'of a variant without a name', { stock: { '': 1 } }],
    ['stock', 'of a variant with a blank name', { stock: { ' ': 1 } }],
    ['stock', 'of a variant with a long name', { stock: { ['x'.repeat(51)]: 1 } }],
    ['stock.S', 'negative', { stock: { S: -1 } }],
    ['stock.S', 'broken', { stock: { S: 1.5 } }],
    ['stock.S', 'text', { stock: { S: '1' } }],
    ['stock.S', 'null', { stock: { S: null } }],
    ['stock.S', 'too large', { stock: { S: 2_147_483_648 } }],
    ['stock.constructor', 'negative', { stock: { constructor: -1 } }],
    ['tags', 'null', { tags: null }],
    ['tags', 'text', { tags: 'x' }],
    ['tags', 'no ids', { tags: ['not a uuid'] }],
    ['tags', 'unknown', { tags: [newId()] }],
    ['tags', 'too many', { tags: Array.from({ length: 101 }, () => newId()) }],
    ['tags.0', 'a number', { tags: [5] }],
    ['state', 'the last one', { state: 'DELETED' }],
    ['state', 'null', { state: null }],
  ])('refuses %s: %s, and stores nothing', async (field, _how, members) => {
    const before = await countProducts()

    const response = await send('POST', '/api/products/', { ...shirt, ...members })

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json<Errors>().errors)).toContain(field)
    expect(await countProducts()).toBe(before)
  })

  it('refuses a tag that is deleted, and one that is named twice', async () => {
    const [tag, deleted] = [await addTag(), await addTag(true)]
    const before = await countProducts()

    const gone = await send('POST', '/api/products/', { ...shirt, tags: [tag.id, deleted.id] })
    const twice = await send('POST', '/api/products/', { ...shirt, tags: [tag.id, tag.id.toUpperCase()] })

    expect(gone.statusCode).toBe(400)
    expect(gone.json<Errors>().errors).toEqual({ tags: ['A tag does not exist.'] })
    expect(twice.statusCode).toBe(400)
    expect(twice.json<Errors>().errors).toEqual({ tags: ['A tag is named more than once.'] })
    expect(await countProducts()).toBe(before)
  })

  it.each(['[]', '"x"', 'null', '{', '{"stock": {"__proto__": 1}}'])('refuses the body %s', async (payload) => {
    const headers = { ...seller.headers, 'content-type': 'application/json' }

    const response = await souk.inject({ method: 'POST', url: '/api/products/', headers, payload })

    expect(response.statusCode).toBe(400)
  })

  it('stores one product for one idempotency key', async () => {
    const headers = { ...seller.headers, 'idempotency-key': newId() }
    const before = await countProducts()

    const first = await send('POST', '/api/products/', shirt, headers)
    const again = await send('POST', '/api/products/', shirt, headers)

    expect(again.headers['idempotency-replayed']).toBe('true')
    expect(again.json()).toEqual(first.json())
    expect(await countProducts()).toBe(before + 1)
  })
})

describe('PUT /api/products/{id}/', () => {
  it('replaces everything but the state, and leaves other products alone', async () => {
    const [tag, other] = [await addTag(), await create()]
    const before = await create({ state: 'DRAFT', tags: [tag.id] })
    const body = { title: 'Coat', description: 'Warm.', price: 5, stock: { L: 0 }, state: 'AVAILABLE' }

    const response = await send('PUT', `/api/products/${before.id}/`, body)

    const product = response.json<Product>()
    expect(response.statusCode).toBe(200)
    expect(product).toEqual({
      ...before,
      ...body,
      state: 'DRAFT',
      tags: [],
      sold_out: true,
      updated: product.updated,
    })
    expect(product.updated > before.updated).toBe(true)
    expect(await show(product.id)).toEqual(product)
    expect(await show(other.id)).toEqual(other)
  })

  it('shows tags in the order in which they were sent last', async () => {
    const [a, b, c] = [await addTag(), await addTag(), await addTag()]
    const { id } = await create({ tags: [a.id, b.id] })

    await send('PUT', `/api/products/${id}/`, { ...shirt, tags: [c.id, b.id, a.id] })

    expect((await show(id)).tags).toEqual([c, b, a])
  })

  it('leaves one of two that come at the same moment, whole', async () => {
    const { id } = await create()
    const [a, b] = [await addTag(), await addTag()]
    const bodies = [
      { title: 'One', description: 'One.', price: 1, stock: { a: 1, b: 2, c: 3 }, tags: [a.id, b.id] },
      { title: 'Two', description: 'Two.', price: 2, stock: { c: 5, d: 6 }, tags: [b.id] },
    ]

    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) => send('PUT', `/api/products/${id}/`, bodies[n % 2])),
    )

    const { title, description, price, stock, tags } = await show(id)
    expect(responses.map((response) => response.statusCode)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(bodies).toContainEqual({ title, description, price, stock, tags: tags.map((tag) => tag.id) })
    expect(new Set(responses.map((response) => response.json<Product>().updated)).size).toBe(20)
  })
})

describe('PATCH /api/products/{id}/', () => {
  it.each([
    { title: 'Coat' },
    { description: 'Warm.' },
    { price: 5 },
    { stock: { L: 4 } },
    { title: 'Coat', price: 7, stock: { S: 9 } },
  ])('changes %j alone', async (members) => {
    const tag = await addTag()
    const before = await create({ tags: [tag.id] })

    const response = await send('PATCH', `/api/products/${before.id}/`, members)

    const product = response.json<Product>()
    expect(response.statusCode).toBe(200)
    expect(product).toEqual({ ...before, ...members, updated: product.updated })
    expect(product.updated > before.updated).toBe(true)
    expect(await show(product.id)).toEqual(product)
  })

  it('replaces tags as a whole', async () => {
    const [a, b] = [await addTag(), await addTag()]
    const before = await create({ tags: [a.id] })

    const replaced = await send('PATCH', `/api/products/${before.id}/`, { tags: [b.id] })
    const removed = await send('PATCH', `/api/products/${before.id}/`, { tags: [] })

    expect(replaced.json<Product>()).toMatchObject({ tags: [b], stock: shirt.stock })
    expect(removed.json<Product>().tags).toEqual([])
  })

  it('changes nothing when nothing is sent', async () => {
    const before = await create()

    const response = await send('PATCH', `/api/products/${before.id}/`, {})

    expect(response.json()).toEqual(before)
  })

  it.each([
    ['title', { title: null }],
    ['description', { description: '' }],
    ['price', { price: 0 }],
    ['stock', { stock: {} }],
    ['stock.S', { stock: { S: -1 } }],
    ['tags', { tags: [NOTHING] }],
  ])('refuses a wrong %s: %j', async (field, members) => {
    const before = await create()

    const response = await send('PATCH', `/api/products/${before.id}/`, { title: 'Coat', ...members })

    expect(response.statusCode).toBe(400)
    expect(Object.keys(response.json<Errors>().errors)).toEqual([field])
    expect(await show(before.id)).toEqual(before)
  })
})

describe('publish and withdraw', () => {
  it('move a product between DRAFT and AVAILABLE', async () => {
    const { id } = await create({ state: 'DRAFT' })

    const published = await send('POST', `/api/products/${id}/publish/`)
    const seen = await send('GET', `/api/products/${id}/`, undefined, stranger.headers)
    const withdrawn = await send('POST', `/api/products/${id}/withdraw/`)
    const hidden = await send('GET', `/api/products/${id}/`, undefined, stranger.headers)

    expect([published.statusCode, published.json<Product>().state]).toEqual([200, 'AVAILABLE'])
    expect(seen.statusCode).toBe(200)
    expect([withdrawn.statusCode, withdrawn.json<Product>().state]).toEqual([200, 'DRAFT'])
    expect(hidden.statusCode).toBe(404)
  })

  it('refuse a product that is there already', async () => {
    const [draft, available] = [await create({ state: 'DRAFT' }), await create()]

    const withdraw = await send('POST', `/api/products/${draft.id}/withdraw/`)
    const publish = await send('POST', `/api/products/${available.id}/publish/`)

    expect(withdraw.statusCode).toBe(400)
    expect(publish.statusCode).toBe(400)
    expect(await show(available.id)).toEqual(available)
  })

  it('let one of many at the same moment through', async () => {
    const { id } = await create()

    const responses = await Promise.all(Array.from({ length: 8 }, () => send('POST', `/api/products/${id}/withdraw/`)))

    expect(responses.filter((response) => response.statusCode === 200)).toHaveLength(1)
    expect(responses.filter((response) => response.statusCode === 400)).toHaveLength(7)
  })
})

describe('DELETE /api/products/{id}/', () => {
  it.each(['AVAILABLE', 'DRAFT'])(
    'deletes a product that is %s with its stock, but keeps its row and tags',
    async (state) => {
      const tag = await addTag()
      const { id } = await create({ state, tags: [tag.id] })

      const response = await send('DELETE', `/api/products/${id}/`)

      const rows = await souk.db.row(sql`
      SELECT state, deleted IS NOT NULL AS "isDeleted",
        (SELECT count(*) FROM stock_levels WHERE product_id = p.id) AS stock,
        (SELECT count(*) FROM product_tags WHERE product_id = p.id) AS tags
      FROM products p WHERE id = ${id}`)
      expect(response.statusCode).toBe(204)
      expect(response.body).toBe('')
      expect(rows).toEqual({ state: 'DELETED', isDeleted: true, stock: 0, tags: 1 })
    },
  )

  it('leaves nothing to show, change or delete', async () => {
    const { id } = await create()
    await send('DELETE', `/api/products/${id}/`)

    const statuses = await everyRequest(id, seller.headers)

    expect(statuses).toEqual([404, 404, 404, 404, 404, 404])
  })
})

/** GET, PUT, PATCH, publish, withdraw and DELETE of one product. */
async function everyRequest(id: string, headers: Record<string, string>, body: object = shirt): Promise<number[]> {
  const responses = [
    await send('GET', `/api/products/${id}/`, undefined, headers),
    await send('PUT', `/api/products/${id}/`, body, headers),
    await send('PATCH', `/api/products/${id}/`, body, headers),
    await send('POST', `/api/products/${id}/publish/`, undefined, headers),
    await send('POST', `/api/products/${id}/withdraw/`, undefined, headers),
    await send('DELETE', `/api/products/${id}/`, undefined, headers),
  ]
  return responses.map((response) => response.statusCode)
}

describe('who may do what', () => {
  it('refuses everything without a credential', async () => {
    const { id } = await create()

    const statuses = await everyRequest(id, {}, { title: 5 })
    const creation = await send('POST', '/api/products/', { title: 5 }, {})

    expect(statuses).toEqual([401, 401, 401, 401, 401, 401])
    expect(creation.statusCode).toBe(401)
  })

  it('lets a credential with scope read do no more than read, whatever the body', async () => {
    const { id } = await create()

    const statuses = await everyRequest(id, readOnly, { title: 5 })
    const creation = await send('POST', '/api/products/', { title: 5 }, readOnly)

    expect(statuses).toEqual([200, 403, 403, 403, 403, 403])
    expect(creation.statusCode).toBe(403)
  })

  it('lets a stranger read what is available, and staff do no more', async () => {
    const product = await create()
    const staff = await souk.staff()

    expect(await everyRequest(product.id, stranger.headers)).toEqual([200, 403, 403, 403, 403, 403])
    expect(await everyRequest(product.id, staff.headers)).toEqual([200, 403, 403, 403, 403, 403])
    expect(await show(product.id)).toEqual(product)
  })

  it('does not tell anybody else that a draft exists', async () => {
    const draft = await create({ state: 'DRAFT' })
    const staff = await souk.staff()

    expect(await everyRequest(draft.id, stranger.headers)).toEqual([404, 404, 404, 404, 404, 404])
    expect(await everyRequest(draft.id, staff.headers)).toEqual([404, 404, 404, 404, 404, 404])
    expect(await show(draft.id)).toEqual(draft)
  })

  it.each([NOTHING, 'not-a-uuid', '%00', '1'])('finds no product %s', async (id) => {
    expect(await everyRequest(id, seller.headers)).toEqual([404, 404, 404, 404, 404, 404])
  })

  it('judges the body before it looks for the product, and that before the owner', async () => {
    const { id } = await create()
    const [bad, badTag] = [{ title: '' }, { ...shirt, tags: [newId()] }]

    const unknown = await send('PUT', `/api/products/${newId()}/`, bad)
    const unknownTag = await send('PATCH', `/api/products/${newId()}/`, badTag)
    const foreign = await send('PATCH', `/api/products/${id}/`, bad, stranger.headers)
    const foreignTag = await send('PUT', `/api/products/${id}/`, badTag, stranger.headers)

    expect([unknown, unknownTag, foreign, foreignTag].map((response) => response.statusCode)).toEqual([
      400, 400, 400, 400,
    ])
  })

  it('finds the same product by its id in capitals and without the slash', async () => {
    const product = await create()

    const response = await send('GET', `/api/products/${product.id.toUpperCase()}`, undefined, stranger.headers)

    expect(response.json()).toEqual(product)
  })

  it('hides the products of a deleted user at once', async () => {
    const leaver = await souk.signUp()
    const { id } = await create({}, leaver)
    await send('DELETE', `/api/user/${leaver.userId}/`, undefined, leaver.headers)

    const statuses = await everyRequest(id, stranger.headers)

    expect(statuses).toEqual([404, 404, 404, 404, 404, 404])
  })
})
