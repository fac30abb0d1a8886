import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { startTestApp, type TestApp } from '../support/app.ts'

const top = join(import.meta.dirname, '../..')

let souk: TestApp

beforeAll(async () => {
  souk = await startTestApp()
})

afterAll(() => souk.close())

test('the example feed of README is uploaded and found as README says', async () => {
  const { headers } = await souk.signUp('ana')
  const url = await souk.listen()
  const form = new FormData()
  form.set('file', new Blob([await readFile(join(top, 'docs/example-feed.xml'))]), 'example-feed.xml')

  const uploaded = await fetch(`${url}/upload-products/`, { method: 'POST', headers, body: form })
  const listed = await fetch(`${url}/list-products/?brand=Prada&sort_by=price&order=desc`, { headers })

  expect(await readFile(join(top, 'README.md'), 'utf8')).toContain('file=@docs/example-feed.xml')
  expect(await uploaded.json()).toMatchObject({
    created_product_ids: ['souk-1001', 'souk-1002'],
    problematic_product_ids: [],
  })
  expect(await listed.json()).toMatchObject({ count: 1, results: [{ id: 'souk-1001', brand: 'Prada' }] })
})
