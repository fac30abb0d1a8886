import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { NotFoundError } from '../../src/platform/errors.ts'
import type { App } from '../../src/platform/http/app.ts'
import { problemWith, uuidParam } from '../../src/platform/http/schemas.ts'
import { createOpenApiGuard, type OpenApiGuard } from './openapi-guard.ts'
import { createToyServer } from './toy-server.ts'

const thing = Type.Object({ id: Type.String(), owner: Type.Union([Type.Object({ name: Type.String() }), Type.Null()]) })
const ID = '0193e3a0-0000-7000-8000-000000000001'

let app: App
let guard: OpenApiGuard
beforeAll(async () => {
  app = await createToyServer({
    routes: (toy) => {
      toy.get(
        '/things/:id/',
        { schema: { params: uuidParam, response: { 200: thing, 410: problemWith({ oldest: Type.Integer() }) } } },
        async () => {
          throw new NotFoundError()
        },
      )
      toy.delete('/things/:id/', { schema: { params: uuidParam, response: { 204: Type.Null() } } }, async () => null)
    },
  })
  guard = createOpenApiGuard(app.openapi())
})
afterAll(() => app.close())

const json = { 'content-type': 'application/json; charset=utf-8' }
const problem = { type: 'about:blank', title: 'Gone', status: 410, detail: 'x', error: 'x', message: 'x', code: 'gone' }
const seen = (status: number, body: unknown, headers: Record<string, string> = json, method = 'GET') => ({
  method,
  url: `/things/${ID}?x=1`,
  status,
  headers,
  body: body === undefined ? '' : JSON.stringify(body),
})
const problemType = { 'content-type': 'application/problem+json' }

it.each([
  ['a documented answer', seen(200, { id: 'a', owner: { name: 'b' } })],
  ['null where it is documented', seen(200, { id: 'a', owner: null })],
  ['a problem with a documented member', seen(410, { ...problem, oldest: 5 }, problemType)],
  ['a standard error', seen(404, { ...problem, status: 404 }, problemType)],
  ['no body where none is documented', seen(204, undefined, {}, 'DELETE')],
])('passes %s', (_name, response) => {
  expect(() => guard(response)).not.toThrow()
})

it.each([
  ['an undocumented status', seen(418, {}), 'status is not documented'],
  ['an undocumented member', seen(200, { id: 'a', owner: null, secret: 1 }), 'not as documented'],
  ['an undocumented nested member', seen(200, { id: 'a', owner: { name: 'b', secret: 1 } }), 'not as documented'],
  ['a missing member', seen(200, { id: 'a' }), 'not as documented'],
  [
    'an undocumented member of a problem',
    seen(410, { ...problem, oldest: 5, secret: 1 }, problemType),
    'not as documented',
  ],
  ['another media type', seen(200, 'text', { 'content-type': 'text/plain' }), 'media type text/plain'],
  ['a body where none is documented', seen(204, { a: 1 }, json, 'DELETE'), 'documented without a body'],
  ['an unknown operation', { ...seen(200, {}), url: '/nothing/' }, 'not a documented operation'],
  ['a 500', seen(500, { ...problem, status: 500 }, problemType), 'no input may produce a 500'],
])('fails %s', (_name, response, text) => {
  expect(() => guard(response)).toThrow(text)
})

it.each([
  '/healthz',
  '/api/',
  '/api/version',
  '/readyz',
  '/nothing/',
  `/things/${ID}/`,
  '/api/swagger/',
  '/api/openapi.json',
  '/metrics',
  '/%zz',
])('passes what the server answers at %s', async (url) => {
  const { statusCode: status, headers, body } = await app.inject({ url, headers: { authorization: 'Token alice' } })

  expect(() => guard({ method: 'GET', url, status, headers, body })).not.toThrow()
})
