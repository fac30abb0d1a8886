import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'

const lines: string[] = []
let app: App
beforeAll(async () => {
  app = await createToyServer({
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    routes: (toy) => {
      toy.post('/things/:id/', async () => ({ ok: true }))
      toy.get('/boom/', { config: { access: 'open' } }, async () => {
        throw new Error('inner text')
      })
    },
  })
})
afterAll(() => app.close())

it('logs one line per request: who, what, how long; and no secret', async () => {
  lines.length = 0
  const headers = {
    authorization: 'Token alice',
    cookie: 'sessionid=s3cret',
    'x-request-id': 'r1',
    'content-type': 'application/json',
  }

  await app.inject({
    method: 'POST',
    url: '/things/42/?access_token=s3cret&token=s3cret',
    headers,
    payload: '{"password":"s3cret"}',
  })

  expect(lines).toHaveLength(1)
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 30,
    requestId: 'r1',
    method: 'POST',
    path: '/things/42/',
    route: '/things/:id/',
    status: 200,
    ms: expect.any(Number) as number,
    userId: '0193e3a0-0000-7000-8000-00000000000a',
  })
  expect(lines[0]).not.toMatch(/s3cret|Token/)
})

it('logs an unexpected error with the request id, and tells the client nothing of it', async () => {
  lines.length = 0

  const response = await app.inject({ url: '/boom/', headers: { 'x-request-id': 'r2' } })

  expect(response.statusCode).toBe(500)
  expect(response.body).not.toContain('inner text')
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        level: 50,
        requestId: 'r2',
        err: expect.objectContaining({ message: 'inner text' }) as object,
      }),
    ]),
  )
})

it.each([
  ['the machine itself', {}, '127.0.0.1', 200],
  ['the machine itself by IPv6', { host: '[::1]:8000' }, '::1', 200],
  ['another machine', {}, '10.0.0.5', 401],
  ['a visitor through a proxy on this machine', { 'x-forwarded-for': '10.0.0.5' }, '127.0.0.1', 401],
  ['a page that rebound its name', { host: 'evil.example' }, '127.0.0.1', 401],
  ['somebody signed in', { authorization: 'Token alice' }, '10.0.0.5', 403],
  ['staff', { authorization: 'Token staff' }, '10.0.0.5', 200],
  ['somebody with a bad credential', { authorization: 'Token nobody' }, '127.0.0.1', 401],
] as const)('shows the metrics to %s or not', async (_name, headers, remoteAddress, status) => {
  const response = await app.inject({ url: '/metrics', remoteAddress, headers: { host: 'localhost:8000', ...headers } })

  expect(response.statusCode).toBe(status)
})

it('counts requests by route pattern, not by path', async () => {
  await app.inject({ method: 'POST', url: '/things/1/', headers: { authorization: 'Token alice' } })
  await app.inject({ url: '/nothing/1/' })

  const { body } = await app.inject({ url: '/metrics', headers: { host: 'localhost' } })

  expect(body).toMatch(
    /souk_http_request_duration_seconds_count\{method="POST",route="\/things\/:id\/",status="200"\} \d+/,
  )
  expect(body).toMatch(/route="unmatched",status="404"/)
  expect(body).toMatch(/souk_database_connections\{state="waiting"\} 0/)
  expect(body).toMatch(/nodejs_eventloop_lag_seconds/)
  expect(body).not.toMatch(/route="\/(things|nothing)\/1/)
})
