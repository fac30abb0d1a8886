import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'

let app: App
beforeAll(async () => {
  app = await createToyServer()
})
afterAll(() => app.close())

const pages = ['/', '/api/swagger/', '/api/swagger', '/swagger/', '/api/redoc/', '/redoc/', '/redoc']
const files = [
  'swagger-ui-bundle.js',
  'swagger-ui.css',
  'swagger-start.js',
  'redoc.standalone.js',
  'redoc-start.js',
].map((name) => `/api/docs/${name}`)

it.each(pages)('serves the page %s without a credential, and nothing in it from another host', async (url) => {
  const { statusCode, headers, body } = await app.inject({ url })

  expect(statusCode).toBe(200)
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  expect(body).not.toMatch(/(src|href)="(https?:)?\/\//)
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'/)
  expect(headers['content-security-policy']).not.toMatch(/https?:|\*|script-src[^;]*unsafe/)
})

it('links the console, the documentation and the health paths', async () => {
  const { body } = await app.inject({ url: '/' })

  expect([...body.matchAll(/href="([^"]+)"/g)].map(([, path]) => path)).toEqual(
    expect.arrayContaining(['/admin/', '/api/swagger/', '/api/redoc/', '/api/openapi.json', '/healthz', '/readyz']),
  )
})

it.each(['/api/swagger/', '/api/redoc/'])('serves every file that %s names', async (url) => {
  const { body } = await app.inject({ url })
  const paths = [...body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path = '']) => path)

  const answers = await Promise.all(paths.map((path) => app.inject({ url: path })))

  expect(paths.length).toBeGreaterThanOrEqual(2)
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(paths.map(() => 200))
})

it.each(files)('serves %s once, then only says that the copy is good', async (url) => {
  const first = await app.inject({ url })

  const second = await app.inject({ url, headers: { 'if-none-match': String(first.headers.etag) } })

  expect(first.statusCode).toBe(200)
  expect(first.headers['content-type']).toMatch(/^text\/(javascript|css)/)
  expect(second.statusCode).toBe(304)
  expect(second.body).toBe('')
})

it('takes the badge of a foreign host out of ReDoc', async () => {
  const { body } = await app.inject({ url: '/api/docs/redoc.standalone.js' })

  expect(body.length).toBeGreaterThan(500_000)
  expect(body).not.toContain('cdn.redoc')
})

it('does not send the description to a validator of another host', async () => {
  const { body } = await app.inject({ url: '/api/docs/swagger-start.js' })

  expect(body).toContain('validatorUrl: null')
})

it.each([
  ['/api/version', { name: 'souk', version: '0.1.0' }],
  ['/healthz', { status: 'ok' }],
  ['/health-check/', { status: 'ok' }],
  ['/health-check', { status: 'ok' }],
])('answers %s exactly', async (url, expected) => {
  const { statusCode, json } = await app.inject({ url, headers: { authorization: 'Token nobody' } })

  expect(statusCode).toBe(200)
  expect(json()).toEqual(expected)
})

it('offers the Postman collection for the address it was asked at', async () => {
  const { headers, json } = await app.inject({ url: '/api/postman.json', headers: { host: 'souk.local:9000' } })
  const collection = json<{ info: { schema: string }; variable: { key: string; value: string }[] }>()

  expect(headers['content-type']).toMatch(/^application\/json/)
  expect(collection.info.schema).toContain('v2.1.0')
  expect(collection.variable[0]).toEqual({ key: 'baseUrl', value: 'http://souk.local:9000' })
})
