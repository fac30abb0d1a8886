import type { LightMyRequestResponse } from 'fastify'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import { InvalidError } from '../errors.ts'
import type { App } from './app.ts'

const body = Type.Object({ name: Type.String({ minLength: 1 }), count: Type.Optional(Type.Integer()) })
const open = { access: 'open' } as const

let app: App
beforeAll(async () => {
  app = await createToyServer({
    routes: (toy) => {
      toy.post('/json/', { config: open, schema: { body } }, async (request) => request.body)
      toy.post(
        '/any/',
        { config: { ...open, bodyTypes: ['json', 'form', 'multipart'] }, schema: { body } },
        async (request) => request.body,
      )
      toy.post('/ignored/', { config: open }, async (request) => ({ body: request.body ?? null }))
      toy.delete('/ignored/', { config: open }, async () => ({ ok: true }))
      toy.post(
        '/list/',
        { config: open, schema: { body: Type.Array(Type.Integer()) } },
        async (request) => request.body,
      )
      toy.post(
        '/signup/',
        {
          config: { ...open, bodyTypes: ['json', 'form'], invalidStatus: 409, flatFieldErrors: true },
          schema: { body },
        },
        async (request) => {
          throw InvalidError.fields({ name: [`${request.body.name} is taken.`] })
        },
      )
      toy.post(
        '/oauth/',
        { config: { ...open, bodyTypes: ['form', 'json'], errorFormat: 'oauth' }, schema: { body } },
        async (request) => {
          if (request.body.name === 'boom') throw new Error('boom')
          throw new InvalidError('Invalid credentials given.', { code: 'invalid_grant' })
        },
      )
    },
  })
})
afterAll(() => app.close())

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'
const multipart = 'multipart/form-data; boundary=x'
const part = (name: string, value: string): string =>
  `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const deep = (depth: number): string => `{"name":"a","x":${'['.repeat(depth)}${']'.repeat(depth)}}`

it.each([
  ['an object', '/json/', json, '{"name":"a","other":1}', 200],
  ['a charset', '/json/', 'application/json; charset=utf-8', '{"name":"a"}', 200],
  ['a JSON dialect', '/json/', 'application/merge-patch+json', '{"name":"a"}', 200],
  ['upper case type', '/json/', 'APPLICATION/JSON', '{"name":"a"}', 200],
  ['no JSON', '/json/', json, '{"name":', 400],
  ['a list', '/json/', json, '[]', 400],
  ['null', '/json/', json, 'null', 400],
  ['an object for a list', '/list/', json, '{}', 400],
  ['nothing for a list', '/list/', json, '', 400],
  ['nothing', '/json/', json, '', 400],
  ['__proto__', '/json/', json, '{"name":"a","__proto__":{"admin":true}}', 400],
  ['nested __proto__', '/json/', json, '{"name":"a","x":[{"__proto__":1}]}', 400],
  ['constructor.prototype', '/json/', json, '{"name":"a","constructor":{"prototype":{"admin":true}}}', 400],
  ['the word __proto__ as text', '/json/', json, '{"name":"\\"__proto__\\":"}', 200],
  ['bytes that are no UTF-8', '/json/', json, Buffer.from([0x22, 0xff, 0x22]), 400],
  ['a byte order mark', '/json/', json, '\ufeff{"name":"a"}', 200],
  ['60 levels', '/json/', json, deep(60), 200],
  ['10,000 levels', '/json/', json, deep(10_000), 400],
  ['500,000 levels', '/json/', json, '['.repeat(500_000), 400],
  ['a NUL', '/json/', json, '{"name":"a\\u0000"}', 400],
  ['half a surrogate pair', '/json/', json, '{"name":"\\ud83d"}', 400],
  ['a number as text', '/json/', json, '{"name":"a","count":"2"}', 400],
  ['an unknown type', '/json/', 'text/plain', 'name', 415],
  ['XML', '/json/', 'application/xml', '<a/>', 415],
  ['a form where JSON is wanted', '/json/', form, 'name=a', 415],
  ['a malformed type', '/json/', 'nonsense', 'name', 415],
  ['a form', '/any/', form, 'name=a&count=2', 200],
  ['a form with a NUL', '/any/', form, 'name=%00', 400],
  ['a form with __proto__', '/any/', form, 'name=a&__proto__=1', 200],
  ['a form with bad escapes', '/any/', form, 'name=%zz', 200],
  ['an empty form', '/any/', form, '', 400],
  ['multipart', '/any/', multipart, `${part('name', 'a')}${part('count', '2')}--x--\r\n`, 200],
  ['multipart cut off', '/any/', multipart, part('name', 'a'), 400],
  ['multipart without a boundary', '/any/', 'multipart/form-data', part('name', 'a'), 400],
  ['multipart with a NUL', '/any/', multipart, `${part('name', 'a\0')}--x--\r\n`, 400],
  ['a body that is ignored', '/ignored/', 'text/plain', 'anything', 200],
  ['a broken body that is ignored', '/ignored/', json, '{', 200],
] as const)('answers %s at %s', async (_name, url, type, payload, status) => {
  const response = await app.inject({ method: 'POST', url, headers: { 'content-type': type }, payload })

  expect({ status: response.statusCode, body: response.body }).toMatchObject({ status })
})

it('reads the same values from JSON, form and multipart', async () => {
  const answers = await Promise.all([
    sendAny(json, '{"name":"é","count":2}'),
    sendAny(form, 'name=%C3%A9&count=2'),
    sendAny(multipart, `${part('name', 'é')}${part('count', '2')}--x--\r\n`),
  ])

  expect(answers.map((answer) => answer.json<unknown>())).toEqual([
    { name: 'é', count: 2 },
    { name: 'é', count: 2 },
    { name: 'é', count: 2 },
  ])
})

it('names the missing fields when there is neither body nor type', async () => {
  const response = await app.inject({ method: 'POST', url: '/json/' })

  expect(response.statusCode).toBe(400)
  expect(response.json<{ errors: unknown }>().errors).toEqual({ name: ['This field is required.'] })
})

it('takes no body, whatever its type', async () => {
  const response = await app.inject({
    method: 'POST',
    url: '/json/',
    headers: { 'content-type': 'text/plain', 'content-length': '0' },
  })

  expect(response.json<{ errors: unknown }>().errors).toEqual({ name: ['This field is required.'] })
})

it('answers 415 to a compressed body', async () => {
  const headers = { 'content-type': json, 'content-encoding': 'gzip' }

  const response = await app.inject({ method: 'POST', url: '/json/', headers, payload: '{"name":"a"}' })

  expect(response.statusCode).toBe(415)
  expect(response.headers['accept-encoding']).toBe('identity')
})

it('answers 413 for more than 1 MiB', async () => {
  const payload = JSON.stringify({ name: 'a'.repeat(1_048_577) })

  const response = await app.inject({ method: 'POST', url: '/json/', headers: { 'content-type': json }, payload })

  expect(response.statusCode).toBe(413)
  expect(response.json()).toMatchObject({ status: 413, title: 'Payload Too Large' })
})

it.each([
  ['a field of the schema', '{}', 409],
  ['a field of the rule', '{"name":"bob"}', 409],
  ['no object', '[]', 400],
  ['no JSON', '{', 400],
])('with invalidStatus 409 answers %s', async (_name, payload, status) => {
  const response = await app.inject({ method: 'POST', url: '/signup/', headers: { 'content-type': json }, payload })

  expect(response.statusCode).toBe(status)
})

it('repeats field errors at the top level where the contract wants it', async () => {
  const response = await app.inject({ method: 'POST', url: '/signup/', payload: { name: 'bob' } })

  expect(response.json()).toMatchObject({
    name: ['bob is taken.'],
    errors: { name: ['bob is taken.'] },
    error: 'bob is taken.',
    status: 409,
  })
})

it.each([
  ['its own code', 'name=a', form, 400, { error: 'invalid_grant', error_description: 'Invalid credentials given.' }],
  ['a missing field', '', form, 400, { error: 'invalid_request', error_description: 'This field is required.' }],
  ['no JSON', '{', json, 400, { error: 'invalid_request', error_description: 'The body is not valid JSON.' }],
  ['another type', '<a/>', 'text/xml', 415, { error: 'invalid_request', error_description: 'Unsupported media type.' }],
  [
    'an unexpected error',
    'name=boom',
    form,
    500,
    { error: 'server_error', error_description: 'An unexpected error occurred.' },
  ],
])('answers %s in the format of OAuth2', async (_name, payload, type, status, expected) => {
  const response = await app.inject({ method: 'POST', url: '/oauth/', headers: { 'content-type': type }, payload })

  expect(response.statusCode).toBe(status)
  expect(response.json()).toEqual(expected)
})

function sendAny(type: string, payload: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url: '/any/', headers: { 'content-type': type }, payload })
}
