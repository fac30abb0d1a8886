import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp, type TestApp, type TestUser } from '../support/app.ts'

interface Tag {
  id: string
  name: string
  description: string
}
interface Page<Item> {
  metadata: { page_size: number; offset_date: string | null; has_next: boolean }
  data: Item[]
}

let test: TestApp
let staff: TestUser
let user: TestUser
beforeAll(async () => {
  test = await startTestApp()
  staff = await test.staff()
  user = await test.signUp()
})
afterAll(() => test.close())

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
const send = (method: Method, url: string, caller?: TestUser, payload?: object) =>
  test.inject({ method, url, ...(caller && { headers: caller.headers }), ...(payload && { payload }) })

async function makeTag(name: string, description = 'A tag.'): Promise<Tag> {
  const answer = await send('POST', '/api/tags/', staff, { name, description })
  expect(answer.statusCode).toBe(201)
  return answer.json<Tag>()
}

describe('POST /api/tags/', () => {
  it('makes a tag', async () => {
    const answer = await send('POST', '/api/tags/', staff, { name: 'Linen', description: 'Made of linen.' })

    expect(answer.statusCode).toBe(201)
    const tag = answer.json<Tag>()
    expect(tag).toEqual({ id: tag.id, name: 'Linen', description: 'Made of linen.' })
    expect(answer.headers.location).toBe(`/api/tags/${tag.id}/`)
    expect((await send('GET', `/api/tags/${tag.id}`, user)).json()).toEqual(tag)
  })

  it('is for staff', async () => {
    const body = { name: 'Not mine', description: 'A tag.' }

    expect((await send('POST', '/api/tags/', user, body)).statusCode).toBe(403)
    expect((await send('POST', '/api/tags/', undefined, body)).statusCode).toBe(401)
  })

  it.each([
    ['no name', { description: 'A tag.' }, 'name'],
    ['an empty name', { name: '', description: 'A tag.' }, 'name'],
    ['a name of blanks', { name: '  ', description: 'A tag.' }, 'name'],
    ['a name of 51 characters', { name: 'x'.repeat(51), description: 'A tag.' }, 'name'],
    ['a name that is a number', { name: 5, description: 'A tag.' }, 'name'],
    ['no description', { name: 'Bad 1' }, 'description'],
    ['an empty description', { name: 'Bad 2', description: '' }, 'description'],
    ['a description of 201 characters', { name: 'Bad 3', description: 'x'.repeat(201) }, 'description'],
    ['a description that is null', { name: 'Bad 4', description: null }, 'description'],
  ])('refuses %s', async (_what, body, field) => {
    const answer = await send('POST', '/api/tags/', staff, body)

    expect(answer.statusCode).toBe(400)
    expect(Object.keys(answer.json<{ errors: object }>().errors)).toEqual([field])
  })

  it('takes the longest name and description', async () => {
    const body = { name: 'é'.repeat(50), description: 'x'.repeat(200) }

    expect((await send('POST', '/api/tags/', staff, body)).json()).toMatchObject(body)
  })

  it('refuses a name that another tag has, whatever its case', async () => {
    await makeTag('Árbol')

    const answer = await send('POST', '/api/tags/', staff, { name: 'áRBOL', description: 'A tag.' })

    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ errors: { name: ['A tag with this name already exists.'] } })
    expect((await send('POST', '/api/tags/', staff, { name: 'Arbol', description: 'Another.' })).statusCode).toBe(201)
  })

  it.each([
    ['Straße', 'STRASSE'],
    ['Großer Fuß', 'GROẞER FUẞ'],
    ['Σάς', 'ΣΆΣ'],
    ['İznik', 'i̇znik'],
    ['Νίκος', 'νίκοσ'],
  ])('takes %s and %s for one name', async (name, other) => {
    await makeTag(name)

    expect((await send('POST', '/api/tags/', staff, { name: other, description: 'A tag.' })).statusCode).toBe(400)
  })

  it('knows the dotless i from the dotted one', async () => {
    await makeTag('Balık')

    expect((await send('POST', '/api/tags/', staff, { name: 'BALIK', description: 'A tag.' })).statusCode).toBe(201)
  })

  it('makes one of several tags of one name that are sent at once', async () => {
    const body = (index: number) => ({ name: index % 2 === 0 ? 'Contested' : 'CONTESTED', description: 'A tag.' })

    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => send('POST', '/api/tags/', staff, body(index))),
    )

    const statuses = answers.map((answer) => answer.statusCode)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status === 400)).toHaveLength(11)
  })

  it('records that a tag was made, changed and deleted', async () => {
    const tag = await makeTag('Recorded')
    await send('PATCH', `/api/tags/${tag.id}/`, staff, { name: 'Recorded anew' })
    await send('DELETE', `/api/tags/${tag.id}/`, staff)

    const rows = await test.db.rows<{ topic: string; data: Tag; audience: string[] }>(
      sql`SELECT topic, data, audience FROM outbox WHERE subject_id = ${tag.id} ORDER BY seq`,
    )
    expect(rows.map((row) => row.topic)).toEqual(['catalog.tag.created', 'catalog.tag.changed', 'catalog.tag.deleted'])
    expect(rows.map((row) => row.data.name)).toEqual(['Recorded', 'Recorded anew', 'Recorded anew'])
    expect(rows.map((row) => row.audience)).toEqual([['public'], ['public'], ['public']])
  })
})

describe('one tag', () => {
  it('answers HEAD without a body', async () => {
    const tag = await makeTag('Head')

    const answer = await send('HEAD', `/api/tags/${tag.id}/`, user)

    expect(answer.statusCode).toBe(200)
    expect(answer.body).toBe('')
  })

  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const)('answers 404 to %s of what is no tag', async (method) => {
    const body = ['PUT', 'PATCH'].includes(method) ? { name: 'Nothing', description: 'A tag.' } : undefined

    for (const id of ['0193e3a0-7c1e-7000-8000-3f2a5c9d1b47', '17', 'not-a-uuid']) {
      expect((await send(method, `/api/tags/${id}/`, staff, body)).statusCode).toBe(404)
    }
    expect((await send(method, '/api/tags/17/', undefined, body)).statusCode).toBe(401)
  })

  it('is replaced by PUT, which needs both fields, and changed by PATCH', async () => {
    const tag = await makeTag('Before')
    const url = `/api/tags/${tag.id}/`

    expect((await send('PUT', url, staff, { name: 'After' })).json()).toHaveProperty('errors.description')
    expect((await send('PUT', url, staff, { name: 'After', description: 'New.' })).json()).toEqual({
      id: tag.id,
      name: 'After',
      description: 'New.',
    })
    expect((await send('PATCH', url, staff, { description: 'Newer.' })).json()).toEqual({
      id: tag.id,
      name: 'After',
      description: 'Newer.',
    })
    expect((await send('PATCH', url, staff, {})).json()).toEqual({ id: tag.id, name: 'After', description: 'Newer.' })
    expect((await send('PATCH', url, staff, { name: 'AFTER' })).json()).toMatchObject({ name: 'AFTER' })
    expect((await send('PATCH', url, staff, { name: '' })).statusCode).toBe(400)
    expect((await send('PATCH', url, user, { name: 'Stolen' })).statusCode).toBe(403)
    expect((await send('PUT', url, user, { name: 'Stolen', description: 'New.' })).statusCode).toBe(403)
    expect((await send('GET', url, user)).json()).toEqual({ id: tag.id, name: 'AFTER', description: 'Newer.' })
  })

  it('does not take the name of another', async () => {
    await makeTag('Taken name')
    const tag = await makeTag('Free name')

    const answer = await send('PATCH', `/api/tags/${tag.id}/`, staff, { name: 'taken NAME' })

    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toHaveProperty('errors.name')
    expect((await send('GET', `/api/tags/${tag.id}/`, user)).json()).toMatchObject({ name: 'Free name' })
  })

  it('is deleted softly: gone from everywhere, its name free', async () => {
    const tag = await makeTag('Short-lived')
    const url = `/api/tags/${tag.id}/`

    expect((await send('DELETE', url, user)).statusCode).toBe(403)
    expect((await send('DELETE', url, staff)).statusCode).toBe(204)

    expect((await send('GET', url, user)).statusCode).toBe(404)
    expect((await send('DELETE', url, staff)).statusCode).toBe(404)
    expect((await send('PATCH', url, staff, { name: 'Back' })).statusCode).toBe(404)
    expect((await send('GET', '/api/tags/?search_term=short-lived', user)).json<Page<Tag>>().data).toEqual([])
    expect((await makeTag('short-LIVED')).id).not.toBe(tag.id)
    expect(
      await test.db.row(sql`SELECT 1 AS kept FROM tags WHERE id = ${tag.id} AND deleted IS NOT NULL`),
    ).toBeDefined()
  })
})

describe('GET /api/tags/', () => {
  it('shows tags oldest first, page by page, each once', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `paged ${index}`)
    for (const name of names) await makeTag(name)

    const seen: string[] = []
    let offset = ''
    let hasNext = true
    while (hasNext) {
      const answer = await send('GET', `/api/tags/?search_term=paged&page_size=3${offset}`, user)
      const { metadata, data } = answer.json<Page<Tag>>()
      seen.push(...data.map((tag) => tag.name))
      offset = `&offset=${metadata.offset_date}`
      hasNext = metadata.has_next
    }
    expect(seen).toEqual(names)
  })

  it('shows 50 at a time, and nothing as a page without a date', async () => {
    expect((await send('GET', '/api/tags', user)).json<Page<Tag>>().metadata.page_size).toBe(50)
    expect((await send('GET', '/api/tags/?search_term=qqqq', user)).json()).toEqual({
      metadata: { page_size: 50, offset_date: null, has_next: false },
      data: [],
    })
  })

  it.each([
    ['search_term=CREME', ['Crème brûlée 100%']],
    ['search_term=br%C3%BBl%C3%89e', ['Crème brûlée 100%']],
    ['search_term=0%25', ['Crème brûlée 100%']],
    ['search_term=_', ['snake_case']],
    ['search_term=e%20b', ['Crème brûlée 100%']],
    ['search_term=%5C', ['back\\slash']],
    ['prefix=cre', ['Crème brûlée 100%']],
    ['prefix=brul', []],
    ['prefix=SN&search_term=case', ['snake_case']],
  ])('finds by %s', async (query, names) => {
    for (const name of ['Crème brûlée 100%', 'snake_case', 'back\\slash'])
      await send('POST', '/api/tags/', staff, { name, description: 'A tag.' })

    const answer = await send('GET', `/api/tags/?${query}`, user)

    expect(answer.json<Page<Tag>>().data.map((tag) => tag.name)).toEqual(names)
  })

  it.each([
    'page_size=0',
    'page_size=-1',
    'page_size=x',
    'page_size=1.5',
    'page_size=',
    'offset=yesterday',
    `search_term=${'x'.repeat(1001)}`,
  ])('refuses %s', async (query) => {
    const answer = await send('GET', `/api/tags/?${query}`, user)

    expect(answer.statusCode).toBe(400)
    expect(Object.keys(answer.json<{ errors: object }>().errors)).toEqual([query.split('=')[0]])
  })

  it('needs a credential', async () => {
    expect((await send('GET', '/api/tags/')).statusCode).toBe(401)
  })
})
