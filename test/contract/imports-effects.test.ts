import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { sql } from '../../src/platform/db/sql.ts'
import { startTestApp } from '../support/app.ts'
import { item, startImportBench, type Import, type ImportBench } from './imports-bench.ts'
import { feed } from './product-feed-fixtures.ts'

let bench: ImportBench

beforeAll(async () => {
  bench = await startImportBench()
})

afterAll(async () => {
  await bench.server.close()
})

describe('what an import does', () => {
  it.each([
    ['cut off', feed(item('f-1')).slice(0, -6), 'unclosed tag: rss', 2],
    ['with a DOCTYPE', feed(item('f-1')).replace('?>', '?><!DOCTYPE rss>'), 'a DOCTYPE is not allowed', 1],
    ['that is not XML', 'hello', 'text data outside of root node', 1],
    ['with an error at its very end', `${feed(item('f-1'))}<`, 'unexpected end', 2],
  ])('imports nothing of a document %s', async (_, xml, error, line) => {
    const job = await bench.run(xml)

    expect(job).toMatchObject({
      state: 'failed',
      error: expect.stringContaining(error),
      error_line: line,
      created: 0,
      items_read: 0,
    })
    expect(job['error_column']).toEqual(expect.any(Number))
    expect((await bench.product('f-1')).statusCode).toBe(404)
  })

  it('reads an empty feed', async () => {
    expect(await bench.run(feed())).toMatchObject({ state: 'succeeded', items_read: 0, percentage: 100 })
  })

  it('stores nothing in a dry run and counts what it would do', async () => {
    await bench.run(feed(item('g-1'), item('g-2')))
    await bench.run(feed(item('g-3')), '', 'application/xml', bench.stranger)
    const changed = item('g-1', { title: 'Changed' })
    const xml = feed(changed, item('g-2'), item('g-3'), item('g-4'), item('g-4'), item('g-5', { title: '' }))

    const create = await bench.run(xml, '?dry_run=true')
    const update = await bench.run(xml, '?dry_run=true&mode=update')

    expect(create).toMatchObject({ created: 1, existing: 4, problematic: 1, updated: 0 })
    expect(update).toMatchObject({ created: 1, updated: 1, unchanged: 1, existing: 1, problematic: 2 })
    expect((await bench.product('g-4')).statusCode).toBe(404)
    expect((await bench.product('g-1')).json()).toMatchObject({ title: 'Title g-1' })
    expect(await bench.run(xml, '?mode=update')).toMatchObject({
      created: 1,
      updated: 1,
      unchanged: 1,
      existing: 1,
      problematic: 2,
    })
  })

  it("updates the caller's own products and reports those of others as not yours", async () => {
    await bench.run(feed(item('h-1'), item('h-2')))
    await bench.run(feed(item('h-3')), '', 'application/xml', bench.stranger)

    const job = await bench.run(
      feed(item('h-1', { title: 'New', 'g:quantity': '9' }), item('h-2'), item('h-3', { title: 'Stolen' })),
      '?mode=update',
    )

    expect(job).toMatchObject({ updated: 1, unchanged: 1, problematic: 1, created: 0 })
    expect((await bench.product('h-1')).json()).toMatchObject({ title: 'New', quantity: 9 })
    expect((await bench.product('h-3')).json()).toMatchObject({ title: 'Title h-3' })
    const report = (await bench.get(`/api/imports/${job.id}/report/`)).json<{ data: object[] }>()
    expect(report.data).toEqual([{ item: 3, line: 4, id: 'h-3', element: 'g:id', rule: 'not yours', value: 'h-3' }])
  })

  it('tells its beginning and end to its owner and nobody else, and mails each admin once', async () => {
    const job = await bench.run(feed(item('i-1'), item('i-2', { 'g:gtin': '' })))
    await bench.server.drain()

    const changes = await bench.server.db.rows<{ topic: string; audience: string[]; data: object }>(sql`
      SELECT topic, audience, data FROM changes WHERE subject_id = ${job.id} ORDER BY position`)
    const topics = changes.map((change) => change.topic).filter((topic) => topic !== 'catalog.import.progressed')
    expect(topics).toEqual(['catalog.import.requested', 'catalog.products.imported', 'catalog.import.succeeded'])
    expect(changes.at(-1)).toMatchObject({
      audience: [`user:${bench.seller.userId}`],
      data: { created: 1, problematic: 1, percentage: 100 },
    })
  })

  it('reports every rejected item as JSON and as CSV, safe for spreadsheets', async () => {
    const job = await bench.run(
      feed(item('j-1', { 'g:price': '=1+1', link: 'x "y", z' }), item('j-2'), item('-j', { title: '' })),
    )

    const first = (await bench.get(`/api/imports/${job.id}/report/?page_size=2`)).json<{
      metadata: { offset: number }
      data: object[]
    }>()
    const rest = (await bench.get(`/api/imports/${job.id}/report/?page_size=2&offset=${first.metadata.offset}`)).json()
    const csv = await bench.get(`/api/imports/${job.id}/report.csv`)

    expect(first.data).toEqual([
      { item: 1, line: 2, id: 'j-1', element: 'link', rule: 'not an http(s) URL', value: 'x "y", z' },
      { item: 1, line: 2, id: 'j-1', element: 'g:price', rule: 'not a price', value: '=1+1' },
    ])
    expect(rest).toEqual({
      metadata: { page_size: 2, offset: 3, has_next: false },
      data: [{ item: 3, line: 4, id: '-j', element: 'title', rule: 'missing', value: null }],
    })
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(csv.body.split('\r\n')).toEqual([
      'line,item,id,element,rule,value',
      '2,1,j-1,link,not an http(s) URL,"x ""y"", z"',
      "2,1,j-1,g:price,not a price,'=1+1",
      "4,3,'-j,title,missing,",
      '',
    ])
  })
})

describe('GET /api/products/feed.xml', () => {
  it('exports what another server imports to the same products', async () => {
    const html = '<b>Fine &amp; 5 < 6</b><script>x</script>'
    await bench.run(
      feed(
        item('k-1', { description: html, 'g:sale_price': '.5', options_percentage: '1.5' }),
        item('k-2', { 'g:adult': 'Yes' }),
      ),
    )
    const exported = await bench.get('/api/products/feed.xml?mine=true')
    const other = await startTestApp()

    const user = await other.signUp()
    const headers = { ...user.headers, 'content-type': 'application/xml' }
    const response = await other.inject({ method: 'POST', url: '/api/imports/', headers, payload: exported.body })
    for (let tries = 0; tries < 200; tries++) {
      const job = await other.inject({ method: 'GET', url: response.headers.location!, headers: user.headers })
      if (job.json<Import>().state === 'succeeded') break
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    const imported = await other.inject({ method: 'GET', url: '/list-products/?page_size=100', headers: user.headers })
    await other.close()

    const own = (await bench.get('/list-products/?page_size=100')).json<{ results: { id: string }[] }>().results
    const results = imported.json<{ results: { id: string }[] }>().results
    expect(exported.headers['content-type']).toBe('application/xml; charset=utf-8')
    expect(results.length).toBeGreaterThan(5)
    expect(results).toEqual(own.filter((row) => results.some((found) => found.id === row.id)))
    expect(results.find((row) => row.id === 'k-1')).toMatchObject({ description: '<b>Fine &amp; 5 &lt; 6</b>' })
  })

  it('names no more units than a feed may', async () => {
    await bench.run(feed(item('many-1')))
    await bench.server.db.transaction((tx) =>
      tx.run(sql`
        INSERT INTO stock_levels (product_id, variant, quantity)
        SELECT id, variant, 2147483647 FROM products, unnest(ARRAY['S', 'M']) AS variant WHERE feed_id = 'many-1'`),
    )

    const exported = await bench.get('/api/products/feed.xml?mine=true')

    expect(exported.body).toMatch(/<g:id>many-1<\/g:id>[\s\S]*?<g:quantity>2147483647<\/g:quantity>/)
  })

  it('narrows to one seller and needs a credential', async () => {
    const mine = await bench.get('/api/products/feed.xml?mine=true', bench.stranger)
    const theirs = await bench.get(`/api/products/feed.xml?owner_user_id=${bench.stranger.userId}`)

    expect(mine.body).toBe(theirs.body)
    expect(mine.body).toContain('<g:id>g-3</g:id>')
    expect(mine.body).not.toContain('<g:id>a-1</g:id>')
    expect((await bench.server.inject({ method: 'GET', url: '/api/products/feed.xml' })).statusCode).toBe(401)
    expect((await bench.get('/api/products/feed.xml?owner_user_id=x')).statusCode).toBe(400)
  })
})
