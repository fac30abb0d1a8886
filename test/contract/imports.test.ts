import { gzipSync } from 'node:zlib'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { form, item, startImportBench, type Import, type ImportBench } from './imports-bench.ts'
import { feed, fieldPart, filePart } from './product-feed-fixtures.ts'

let bench: ImportBench

beforeAll(async () => {
  bench = await startImportBench({ MAX_IMPORT_BYTES: '2000000' })
})

afterAll(async () => {
  await bench.server.close()
})

describe('POST /api/imports/', () => {
  it('answers 202 with the place to look and imports in the background', async () => {
    const response = await bench.post(feed(item('a-1'), item('a-2'), item('a-1'), item('a-3', { 'g:price': 'x' })))

    const job = response.json<Import>()
    expect(response.statusCode).toBe(202)
    expect(response.headers.location).toBe(`/api/imports/${job.id}/`)
    expect(job).toMatchObject({ state: 'queued', mode: 'create', dry_run: false, items_read: 0, percentage: 0 })
    const done = await bench.ended(job.id)
    expect(done).toMatchObject({ state: 'succeeded', items_read: 4, created: 2, existing: 1, problematic: 1 })
    expect(done).toMatchObject({ percentage: 100, bytes_read: done['bytes_total'], error: null })
    expect((await bench.product('a-2')).json()).toMatchObject({
      id: 'a-2',
      title: 'Title a-2',
      price: '199.99',
      quantity: 3,
    })
  })

  it('takes a form with its options', async () => {
    const { body, type } = form(
      fieldPart('mode', 'update'),
      filePart(feed(item('b-1')), 'my feed.xml'),
      fieldPart('dry_run', 'true'),
    )

    const job = await bench.run(body, '', type)

    expect(job).toMatchObject({
      state: 'succeeded',
      file_name: 'my feed.xml',
      mode: 'update',
      dry_run: true,
      created: 1,
    })
  })

  it.each(['application/gzip', 'application/xml', 'multipart'])('unpacks gzip sent as %s', async (type) => {
    const id = `c-${type.replace('/', '-')}`
    const packed = gzipSync(feed(item(id)))
    const { body, type: formType } = form(filePart(packed, 'feed.xml.gz'))

    const job = type === 'multipart' ? await bench.run(body, '', formType) : await bench.run(packed, '', type)

    expect(job).toMatchObject({ state: 'succeeded', created: 1, bytes_total: feed(item(id)).length })
  })

  it.each([
    ['well-formed feed while it arrives', feed(item('d-1')), 'succeeded', true],
    ['compressed feed behind its arrival', gzipSync(feed(item('d-2'))), 'succeeded', false],
    ['feed that breaks off again, to say where', feed(item('d-3')).slice(0, -2), 'failed', false],
  ])('checks a %s', async (_, body, state, isChecked) => {
    const job = (await bench.post(body)).json<Import>()

    expect(job['bytes_checked']).toBe(isChecked ? job['bytes_total'] : 0)
    expect(await bench.ended(job.id)).toMatchObject({ state, created: state === 'succeeded' ? 1 : 0 })
  })

  it.each([
    ['an empty form', () => form()],
    ['a text field', () => form(fieldPart('file', 'null'))],
  ])('refuses %s', async (_, make) => {
    const { body, type } = make()

    const response = await bench.post(body, '', type)

    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: 'No file provided' })
  })

  it('refuses a request without a body', async () => {
    const response = await bench.server.inject({ method: 'POST', url: '/api/imports/', headers: bench.seller.headers })

    expect(response.statusCode).toBe(400)
  })

  it.each([
    ['?mode=replace', 'mode'],
    ['?dry_run=maybe', 'dry_run'],
  ])('refuses the option %s', async (query, field) => {
    const response = await bench.post(feed(), query)

    expect(response.statusCode).toBe(400)
    expect(response.json<{ errors: object }>().errors).toHaveProperty(field)
  })

  it('refuses the same options in a form', async () => {
    const { body, type } = form(fieldPart('mode', 'replace'), filePart(feed()))

    expect((await bench.post(body, '', type)).json<{ errors: object }>().errors).toHaveProperty('mode')
  })

  it('refuses other media types, an unsigned caller and too much', async () => {
    const large = feed(item('d-1', { description: 'x'.repeat(2_100_000) }))

    expect((await bench.post('{}', '', 'application/json')).statusCode).toBe(415)
    expect((await bench.server.inject({ method: 'POST', url: '/api/imports/', payload: feed() })).statusCode).toBe(401)
    expect((await bench.post(large)).statusCode).toBe(413)
  })

  it('cuts a gzip bomb at the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, ' '))

    expect((await bench.post(bomb, '', 'application/gzip')).statusCode).toBe(413)
  })

  it('refuses damaged gzip and a form that ends early', async () => {
    const packed = gzipSync(feed(item('e-1')))
    const { body, type } = form(filePart(feed(item('e-2'))))

    expect((await bench.post(packed.subarray(0, packed.length - 5), '', 'application/gzip')).statusCode).toBe(400)
    expect((await bench.post(body.subarray(0, body.length - 20), '', type)).statusCode).toBe(400)
  })

  it('leaves no file behind, whatever the end', async () => {
    const left = async () =>
      (await readdir(join(bench.server.dataDir, 'imports'))).filter((name) => !name.startsWith('.'))
    const count = await bench.server.db.row<{ count: number }>(
      sql`SELECT count(*) FROM imports WHERE finished_at IS NULL`,
    )

    expect(count).toEqual({ count: 0 })
    expect(await left()).toEqual([])
  })
})

describe('looking at imports', () => {
  it('lists the own ones, newest first, page by page', async () => {
    const user = await bench.server.signUp()
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.unshift((await bench.run(feed(), '', 'application/xml', user)).id)

    const first = (await bench.get('/api/imports/?page_size=2', user)).json<{
      metadata: { offset: string }
      data: Import[]
    }>()
    const second = (await bench.get(`/api/imports?page_size=2&offset=${first.metadata.offset}`, user)).json<{
      data: Import[]
    }>()

    expect(first.metadata).toEqual({ page_size: 2, offset: ids[1], has_next: true })
    expect([...first.data, ...second.data].map((job) => job.id)).toEqual(ids)
  })

  it.each(['', 'report/', 'report.csv'])('shows /api/imports/{id}/%s to its owner and to staff only', async (path) => {
    const { id } = await bench.run(feed())
    const url = `/api/imports/${id}/${path}`

    expect((await bench.get(url)).statusCode).toBe(200)
    expect((await bench.get(url, bench.staff)).statusCode).toBe(200)
    expect((await bench.get(url, bench.stranger)).statusCode).toBe(403)
    expect((await bench.server.inject({ method: 'GET', url })).statusCode).toBe(401)
    expect((await bench.get(url.replace(id, '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47'))).statusCode).toBe(404)
    expect((await bench.get(url.replace(id, 'nothing'))).statusCode).toBe(404)
  })

  it.each(['/api/imports/?page_size=0', '/api/imports/?offset=x'])('refuses %s', async (url) => {
    expect((await bench.get(url)).statusCode).toBe(400)
  })
})

function cancel(id: string, user = bench.seller) {
  return bench.server.inject({ method: 'POST', url: `/api/imports/${id}/cancel/`, headers: user.headers })
}

describe('POST /api/imports/{id}/cancel/', () => {
  it('ends an import that has not begun', async () => {
    const id = '0193e3a0-7c1e-7000-8000-3f2a5c9d1b48'
    await bench.server.db.run(sql`
      INSERT INTO imports (id, owner_id, username, file_name, mode, dry_run, state, is_compressed, bytes_total, requested_at)
      VALUES (${id}, ${bench.seller.userId}, 'x', 'f', 'create', false, 'queued', false, 1, now())`)

    const response = await cancel(id)

    expect(response.json()).toMatchObject({ state: 'cancelled', finished: expect.any(String) })
    expect((await cancel(id)).statusCode).toBe(400)
  })

  it('refuses strangers, the unsigned, and what does not exist or has ended', async () => {
    const { id } = await bench.run(feed())

    expect((await cancel(id, bench.stranger)).statusCode).toBe(403)
    expect((await bench.server.inject({ method: 'POST', url: `/api/imports/${id}/cancel/` })).statusCode).toBe(401)
    expect((await cancel('0193e3a0-7c1e-7000-8000-3f2a5c9d1b49')).statusCode).toBe(404)
    expect((await cancel(id)).statusCode).toBe(400)
  })
})
