import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createToyServer } from '../../../test/support/toy-server.ts'
import type { App } from './app.ts'

const TRUSTED = 'http://localhost:3000'
const FOREIGN = 'https://evil.example'

let app: App
beforeAll(async () => {
  app = await createToyServer({
    env: { PUBLIC_URL: 'https://souk.example' },
    routes: (toy) => {
      toy.get('/things/', async () => ({ ok: true }))
      toy.post('/things/', async () => ({ ok: true }))
      toy.get('/boom/', { config: { access: 'open' } }, async () => {
        throw new Error('boom')
      })
    },
  })
})
afterAll(() => app.close())

describe('CORS', () => {
  const token = { authorization: 'Token alice' }

  it.each([
    ['an answer', { method: 'GET', url: '/things/', headers: token }, 200],
    ['401', { method: 'GET', url: '/things/', headers: {} }, 401],
    ['404', { method: 'GET', url: '/nothing/', headers: {} }, 404],
    ['405', { method: 'PUT', url: '/things/', headers: {} }, 405],
    ['a bad path', { method: 'GET', url: '/%zz', headers: {} }, 404],
    ['500', { method: 'GET', url: '/boom/', headers: {} }, 500],
  ] as const)('lets the trusted origin read %s, with credentials', async (_name, request, status) => {
    const response = await app.inject({ ...request, headers: { ...request.headers, origin: TRUSTED } })

    expect(response.statusCode).toBe(status)
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': TRUSTED,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
      'access-control-expose-headers': 'Retry-After, Location, Idempotency-Replayed, X-Request-Id',
    })
  })

  it.each([FOREIGN, 'null', undefined, 'http://localhost:3000.evil.example', 'https://localhost:3000'])(
    'lets origin %s read without credentials only',
    async (origin) => {
      const response = await app.inject({ url: '/things/', headers: origin === undefined ? {} : { origin } })

      expect(response.headers['access-control-allow-origin']).toBe('*')
      expect(response.headers['access-control-allow-credentials']).toBeUndefined()
      expect(response.headers.vary).toBe('Origin')
    },
  )

  it.each(['/things/', '/things', '/nothing/'])('answers the preflight of %s', async (url) => {
    const headers = {
      origin: TRUSTED,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'x-csrftoken',
    }

    const response = await app.inject({ method: 'OPTIONS', url, headers })

    expect(response.statusCode).toBe(204)
    expect(words(response.headers['access-control-allow-methods'])).toEqual(
      expect.arrayContaining(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
    )
    expect(words(response.headers['access-control-allow-headers'])).toEqual(
      expect.arrayContaining(['content-type', 'x-csrftoken', 'authorization', 'idempotency-key']),
    )
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': TRUSTED,
      'access-control-allow-credentials': 'true',
      'access-control-max-age': '7200',
    })
  })
})

describe('CSRF', () => {
  const session = { cookie: 'sessionid=alice; csrftoken=secret1' }

  it.each([
    ['no Origin and no Referer', { ...session }, 200],
    ['the trusted origin', { ...session, origin: TRUSTED }, 200],
    ['its own origin', { ...session, host: 'souk.local:8000', origin: 'http://souk.local:8000' }, 200],
    ['the public address', { ...session, origin: 'https://souk.example' }, 200],
    ['a trusted Referer', { ...session, referer: `${TRUSTED}/page?x=1` }, 200],
    ['a foreign origin', { ...session, origin: FOREIGN }, 403],
    ['origin null', { ...session, origin: 'null' }, 403],
    ['a foreign Referer', { ...session, referer: `${FOREIGN}/page` }, 403],
    ['a Referer that is no address', { ...session, referer: 'nonsense' }, 403],
    ['a foreign origin and a trusted Referer', { ...session, origin: FOREIGN, referer: `${TRUSTED}/` }, 403],
    ['another port of the trusted host', { ...session, origin: 'http://localhost:3001' }, 403],
    ['a foreign origin and the token of the cookie', { ...session, origin: FOREIGN, 'x-csrftoken': 'secret1' }, 200],
    ['a foreign origin and another token', { ...session, origin: FOREIGN, 'x-csrftoken': 'secret2' }, 403],
    [
      'a foreign origin, an empty token and no cookie',
      { cookie: 'sessionid=alice', origin: FOREIGN, 'x-csrftoken': '' },
      403,
    ],
    ['a foreign origin and an API token', { authorization: 'Token alice', origin: FOREIGN }, 200],
  ])('judges a changing request with %s', async (_name, headers, status) => {
    const response = await app.inject({ method: 'POST', url: '/things/', headers })

    expect(response.statusCode).toBe(status)
  })

  it('lets a foreign page cause a read: it cannot see the answer', async () => {
    const response = await app.inject({ url: '/things/', headers: { ...session, origin: FOREIGN } })

    expect(response.statusCode).toBe(200)
    expect(response.headers['access-control-allow-origin']).toBe('*')
  })
})

function words(header: unknown): string[] {
  return String(header).split(', ')
}
