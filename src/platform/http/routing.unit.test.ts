import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'
import { uuidParam } from './schemas.ts'

const ID = '0193e3a0-0000-7000-8000-000000000001'
const alice = { authorization: 'Token alice' }

let app: App
beforeAll(async () => {
  app = await createToyServer({
    routes: (toy) => {
      toy.get('/things/:id/', { schema: { params: uuidParam } }, async (request) => ({ id: request.params.id }))
      toy.delete(
        '/things/:id/',
        { schema: { params: uuidParam, response: { 204: Type.Null() } } },
        async (_request, reply) => reply.code(204).send(null),
      )
      toy.get('/tags/:name/', async (request) => ({ length: (request.params as { name: string }).name.length }))
      toy.get('/open/', { config: { access: 'open' } }, async (request) => ({
        user: request.callerIfAny?.username ?? null,
      }))
      toy.get('/optional/', { config: { access: 'optional' } }, async (request) => ({
        user: request.callerIfAny?.username ?? null,
      }))
      toy.get('/staff/', { config: { access: 'staff' } }, async (request) => ({ user: request.caller.username }))
      toy.get('/open-caller/', { config: { access: 'open' } }, async (request) => ({ user: request.caller.username }))
      toy.get(
        '/list/',
        {
          config: { access: 'open' },
          schema: { querystring: Type.Object({ page: Type.Integer({ default: 1 }), q: Type.Optional(Type.String()) }) },
        },
        async (request) => request.query,
      )
    },
  })
})
afterAll(() => app.close())

it.each([
  ['GET', `/things/${ID}/`, alice, 200],
  ['GET', `/things/${ID}`, alice, 200],
  ['GET', `/things/${ID.toUpperCase()}`, alice, 200],
  ['DELETE', `/things/${ID}`, alice, 204],
  ['HEAD', `/things/${ID}`, alice, 200],
  ['GET', `/things/${ID}/`, {}, 401],
  ['GET', `/things/${ID}/`, { authorization: 'Token nobody' }, 401],
  ['GET', '/things/42/', {}, 401],
  ['GET', '/things/42/', alice, 404],
  ['GET', '/things/%00/', alice, 404],
  ['POST', `/things/${ID}/`, {}, 405],
  ['POST', '/things/42/', {}, 405],
  ['OPTIONS', `/things/${ID}/`, {}, 204],
  ['GET', '/nothing/', {}, 404],
  ['POST', '/nothing/', {}, 404],
  ['OPTIONS', '/nothing/', {}, 404],
  ['GET', '/staff/', alice, 403],
  ['GET', '/staff/', { authorization: 'Token staff' }, 200],
  ['GET', '/staff/', {}, 401],
  ['GET', '/open-caller/', {}, 401],
  ['GET', `/things/${ID}/`, { authorization: 'Bearer reader' }, 200],
  ['DELETE', `/things/${ID}/`, { authorization: 'Bearer reader' }, 403],
  ['GET', `/things/${ID}/`, { authorization: 'Bearer writer' }, 403],
  ['HEAD', `/things/${ID}/`, { authorization: 'Bearer writer' }, 403],
  ['DELETE', `/things/${ID}/`, { authorization: 'Bearer writer' }, 204],
] as const)('answers %s %s with %j by %i', async (method, url, headers, status) => {
  const response = await app.inject({ method, url, headers })

  expect(response.statusCode).toBe(status)
})

it('names the methods of the path with 405 and with OPTIONS', async () => {
  const refused = await app.inject({ method: 'PATCH', url: `/things/${ID}` })
  const asked = await app.inject({ method: 'OPTIONS', url: `/things/${ID}` })

  expect(refused.headers.allow).toBe('DELETE, GET, HEAD, OPTIONS')
  expect(asked.headers.allow).toBe('DELETE, GET, HEAD, OPTIONS')
})

it.each(['TRACE', 'PROPFIND', 'QUERY'])('answers 405 to %s, with or without a body of any kind', async (method) => {
  const bare = await app.inject({ method: method as 'GET', url: '/open/' })
  const withBody = await app.inject({
    method: method as 'GET',
    url: '/open/',
    headers: { 'content-type': 'nonsense' },
    payload: 'x',
  })

  expect([bare.statusCode, withBody.statusCode]).toEqual([405, 405])
})

it('asks for Bearer, in a problem document', async () => {
  const response = await app.inject({ url: '/staff/' })

  expect(response.headers['www-authenticate']).toBe('Bearer')
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(response.json()).toMatchObject({ status: 401, error: 'Authentication credentials were not provided.' })
})

it('does not look at the credential of an open route, and refuses a bad one on an optional route', async () => {
  const bad = { authorization: 'Token nobody' }

  const open = await app.inject({ url: '/open/', headers: bad })
  const optional = await app.inject({ url: '/optional/', headers: bad })
  const anonymous = await app.inject({ url: '/optional/' })
  const known = await app.inject({ url: '/optional/', headers: alice })

  expect(open.json()).toEqual({ user: null })
  expect(optional.statusCode).toBe(401)
  expect(anonymous.json()).toEqual({ user: null })
  expect(known.json()).toEqual({ user: 'alice' })
})

it.each([
  ['ASCII', 'a'.repeat(2_000), 2_000],
  ['three bytes each', encodeURIComponent('市'.repeat(2_000)), 2_000],
])('takes a path part of 2,000 characters (%s)', async (_name, part, length) => {
  const response = await app.inject({ url: `/tags/${part}/`, headers: alice })

  expect(response.json()).toEqual({ length })
})

it('answers 414 for a path part that is far too long', async () => {
  const response = await app.inject({ url: `/tags/${'a'.repeat(20_000)}/`, headers: alice })

  expect(response.statusCode).toBe(414)
  expect(response.json()).toMatchObject({ status: 414, title: 'URI Too Long' })
})

it.each([
  ['/things/%zz/', {}, 401],
  ['/things/%zz/', alice, 404],
  ['/things/%c0%80', alice, 404],
  ['/tags/%E0%A4%A/', alice, 200],
  ['/%', {}, 404],
] as const)('takes the malformed path %s with %j for any other text: %i', async (url, headers, status) => {
  const response = await app.inject({ url, headers })

  expect(response.statusCode).toBe(status)
})

it.each([
  ['page=2', 200, { page: 2 }],
  ['', 200, { page: 1 }],
  ['page=1&page=3', 200, { page: 3 }],
  ['page=2.5', 400, { page: ['A valid integer is required.'] }],
  ['page=', 400, { page: ['A valid integer is required.'] }],
  ['q=a%00b', 400, { q: ['Null characters are not allowed.'] }],
  ['unknown=1&__proto__=2', 200, { page: 1, unknown: '1' }],
])('reads the query %s', async (query, status, expected) => {
  const response = await app.inject({ url: `/list/?${query}` })

  expect(response.statusCode).toBe(status)
  expect(status === 200 ? response.json() : response.json<{ errors: unknown }>().errors).toEqual(expected)
})

it('keeps a request id that is fit to be logged and makes one otherwise', async () => {
  const kept = await app.inject({ url: '/open/', headers: { 'x-request-id': 'trace-1.2:3' } })
  const made = await app.inject({ url: '/open/', headers: { 'x-request-id': 'two words' } })

  expect(kept.headers['x-request-id']).toBe('trace-1.2:3')
  expect(made.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
})

it('sets the security headers on every answer', async () => {
  const response = await app.inject({ url: '/nothing/' })

  expect(response.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
  })
  expect(response.headers['strict-transport-security']).toBeUndefined()
})

it('demands https from then on when reached by https through a trusted proxy', async () => {
  const behindProxy = await createToyServer({ env: { TRUST_PROXY: '127.0.0.1' } })

  const response = await behindProxy.inject({ url: '/healthz', headers: { 'x-forwarded-proto': 'https' } })

  expect(response.headers['strict-transport-security']).toMatch(/^max-age=\d+$/)
  await behindProxy.close()
})
