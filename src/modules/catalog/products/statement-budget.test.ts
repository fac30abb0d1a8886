import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'
import { sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'

let souk: TestApp
let seller: TestUser
let tags: string[]
let statements: string[] = []

beforeAll(async () => {
  // The api role alone: services of the worker would send statements of their own.
  souk = await startTestApp({ role: 'api', onStatement: (text) => statements.push(text) })
  seller = await souk.signUp()
  tags = Array.from({ length: 20 }, () => newId())
  await souk.db.run(sql`
    INSERT INTO tags (id, name, description, name_key, name_folded, created, updated)
    SELECT id, id, 'A tag', id, id, now(), now() FROM unnest(${tags}::uuid[]) AS id`)
})
afterAll(() => souk.close())

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Statements beside authentication. */
async function countOf(method: Method, url: string, payload?: object): Promise<number> {
  statements = []
  const response = await souk.inject({ method, url, headers: seller.headers, ...(payload ? { payload } : {}) })
  expect(response.statusCode).toBeLessThan(300)
  return statements.filter((text) => /\b(products|stock_levels|tags|product_search|deleted_owners)\b/.test(text)).length
}

const text = { title: 'Shirt', description: 'Light.', price: 5 }
const small = () => ({ ...text, stock: { default: 1 }, tags: tags.slice(0, 1) })
const large = () => ({ ...text, stock: Object.fromEntries(tags.map((tag, n) => [tag, n])), tags })

async function create(body: object): Promise<string> {
  const response = await souk.inject({ method: 'POST', url: '/api/products/', headers: seller.headers, payload: body })
  return `/api/products/${response.json<{ id: string }>().id}/`
}

it('needs as many statements for many variants and tags as for one', async () => {
  const [few, many] = [await create(small()), await create(large())]

  expect([await countOf('GET', few), await countOf('GET', many)]).toEqual([1, 1])
  expect([await countOf('POST', '/api/products/', small()), await countOf('POST', '/api/products/', large())]).toEqual([
    4, 4,
  ])
  expect([await countOf('PUT', few, large()), await countOf('PUT', many, small())]).toEqual([8, 8])
  expect([await countOf('PATCH', few, { price: 6 }), await countOf('PATCH', many, { price: 6 })]).toEqual([6, 6])
  expect([await countOf('POST', `${few}withdraw/`), await countOf('POST', `${many}withdraw/`)]).toEqual([6, 6])
  expect([await countOf('DELETE', few), await countOf('DELETE', many)]).toEqual([5, 5])
})
