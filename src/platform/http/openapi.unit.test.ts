import { Ajv2020 } from 'ajv/dist/2020.js'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'
import type { OpenApiDocument, Operation } from './openapi.ts'
import { messageSchema, uuidParam } from './schemas.ts'

let app: App
let document: OpenApiDocument
beforeAll(async () => {
  app = await createToyServer({ routes: registerRoutes })
  document = (await app.inject({ url: '/api/openapi.json' })).json<OpenApiDocument>()
})
afterAll(() => app.close())

const answer = async (): Promise<{ message: string }> => ({ message: 'ok' })

function registerRoutes(toy: App): void {
  const tags = ['Things']
  const body = Type.Object({
    name: Type.String({ examples: ['Lamp'], 'x-messages': { required: 'Say a name.' } }),
    n: Type.Optional(Type.Integer()),
  })
  const response = { 200: messageSchema }
  const query = Type.Object({
    page: Type.Integer({ default: 1, description: 'From 1.' }),
    q: Type.Optional(Type.String()),
  })
  toy.get(
    '/things/',
    { schema: { tags, operationId: 'listThings', summary: 'List', querystring: query, response } },
    answer,
  )
  toy.post(
    '/things/',
    { schema: { tags, operationId: 'createThing', body, response: { 201: messageSchema } } },
    async (_request, reply) => reply.code(201).send({ message: 'ok' }),
  )
  toy.route({
    method: ['PUT', 'PATCH'],
    url: '/things/:id/',
    schema: { tags, operationId: 'updateThing', params: uuidParam, body, response },
    handler: answer,
  })
  toy.delete(
    '/things/:id/',
    { schema: { params: uuidParam, response: { 204: Type.Null() } } },
    async (_request, reply) => reply.code(204).send(null),
  )
  toy.post(
    '/open/',
    { config: { access: 'open', bodyTypes: ['json', 'form'], flatFieldErrors: true }, schema: { body, response } },
    answer,
  )
  toy.post(
    '/oauth/',
    { config: { access: 'open', bodyTypes: ['form'], errorFormat: 'oauth' }, schema: { body, response } },
    answer,
  )
  toy.post('/upload/', { config: { bodyTypes: ['application/xml'] }, schema: { response } }, answer)
}

it('is OpenAPI 3.1 and describes every route, with each method once', () => {
  expect(document.openapi).toBe('3.1.0')
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/',
      '/api/',
      '/api/version',
      '/healthz',
      '/health-check/',
      '/readyz',
      '/metrics',
      '/api/openapi.json',
      '/api/swagger/',
      '/things/',
      '/things/{id}/',
    ]),
  )
  expect(Object.keys(document.paths['/things/{id}/'] ?? {})).toEqual(['put', 'patch', 'delete'])
})

it('gives every operation an id of its own', () => {
  const ids = operations().map(({ operationId }) => operationId)

  expect(new Set(ids).size).toBe(ids.length)
  expect(ids).toEqual(
    expect.arrayContaining(['listThings', 'createThing', 'updateThing', 'patchUpdateThing', 'deleteThingsId']),
  )
})

it('holds schemas that a JSON Schema 2020-12 validator accepts, with references that lead somewhere', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ $id: 'https://souk.invalid/openapi', ...document })
  const schemas = operations().flatMap(({ responses, requestBody, parameters }) => [
    ...parameters.map(({ schema }) => schema),
    ...Object.values(requestBody?.content ?? {}).map(({ schema }) => schema),
    ...Object.values(responses).flatMap(({ content }) =>
      Object.values((content ?? {}) as Record<string, { schema: unknown }>).map(({ schema }) => schema),
    ),
  ])

  for (const schema of schemas) {
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://souk.invalid/openapi#/')) as object
    expect(() => ajv.compile(absolute)).not.toThrow()
  }
  expect(schemas.length).toBeGreaterThan(50)
})

it('names the five credentials, with the scope that the method needs', () => {
  expect(Object.keys(document.components.securitySchemes as object)).toEqual([
    'apiToken',
    'oauth2',
    'jwt',
    'session',
    'basic',
  ])
  expect(operation('/things/', 'get').security).toContainEqual({ oauth2: ['read'] })
  expect(operation('/things/', 'post').security).toContainEqual({ oauth2: ['write'] })
  expect(operation('/open/', 'post').security).toEqual([])
  expect(operation('/metrics', 'get').security[0]).toEqual({})
})

it.each([
  ['/things/', 'get', ['200', '400', '401', '403', '404', '429', '500', '503']],
  ['/things/', 'post', ['201', '400', '401', '403', '404', '408', '409', '413', '415', '422', '429', '500', '503']],
  ['/things/{id}/', 'delete', ['204', '400', '401', '403', '404', '409', '422', '429', '500', '503']],
  ['/healthz', 'get', ['200']],
])('adds the standard errors of %s %s', (path, method, statuses) => {
  expect(Object.keys(operation(path, method).responses)).toEqual(statuses)
})

it('describes errors in the form that the route gives them', () => {
  expect(errorOf('/things/')).toEqual({
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  })
  expect(errorOf('/open/')).toEqual({
    'application/problem+json': { schema: { $ref: '#/components/schemas/FlatProblem' } },
  })
  expect(errorOf('/oauth/')).toEqual({ 'application/json': { schema: { $ref: '#/components/schemas/OAuthError' } } })
})

it('describes bodies by media type, with an example, and without what only our code reads', () => {
  const body = operation('/open/', 'post').requestBody

  expect(Object.keys(body?.content ?? {})).toEqual(['application/json', 'application/x-www-form-urlencoded'])
  expect(body?.content['application/json']?.example).toEqual({ name: 'Lamp', n: 1 })
  expect(JSON.stringify(document)).not.toContain('x-messages')
  expect(operation('/upload/', 'post').requestBody?.content).toEqual({
    'application/xml': { schema: { type: 'string', format: 'binary' } },
  })
  expect(operation('/things/{id}/', 'delete').requestBody).toBeUndefined()
})

it('describes parameters of path, query and Idempotency-Key', () => {
  expect(operation('/things/', 'get').parameters).toEqual([
    { name: 'page', in: 'query', required: false, description: 'From 1.', schema: { type: 'integer', default: 1 } },
    { name: 'q', in: 'query', required: false, schema: { type: 'string' } },
  ])
  expect(operation('/things/{id}/', 'put').parameters.map(({ name }) => name)).toEqual(['id', 'Idempotency-Key'])
  expect(operation('/upload/', 'post').parameters.map(({ name }) => name)).toEqual(['Idempotency-Key'])
  expect(operation('/open/', 'post').parameters).toEqual([])
})

function operations(): Operation[] {
  return Object.values(document.paths).flatMap((methods) => Object.values(methods))
}

function operation(path: string, method: string): Operation {
  const found = document.paths[path]?.[method]
  if (found === undefined) throw new Error(`${method} ${path} is not documented`)
  return found
}

function errorOf(path: string): unknown {
  return operation(path, 'post').responses['400']?.content
}
