import type { LightMyRequestResponse } from 'fastify'

import { ensureOauthClient } from '../../src/modules/identity/index.ts'
import type { TestApp, TestUser } from '../support/app.ts'

type Headers = Record<string, string>
type Send = (url: string, payload?: object) => Promise<LightMyRequestResponse>

/** Requests with one credential. */
export interface StoreClient {
  get: Send
  post: Send
  put: Send
  patch: Send
  delete: Send
}

const CLIENT = { client_id: 'store-tests', client_secret: 'store-tests-secret' }

/** For `startTestApp`, so that `readOnlyClient` can have its token. */
export const OAUTH_ENV = { OAUTH_CLIENT_ID: CLIENT.client_id, OAUTH_CLIENT_SECRET: CLIENT.client_secret }

/** Names nothing. */
export const NOTHING = '01234567-89ab-7def-8123-456789abcdef'

export function clientOf(souk: TestApp, headers: Headers): StoreClient {
  const sender =
    (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'): Send =>
    (url, payload) =>
      souk.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) })
  return {
    get: sender('GET'),
    post: sender('POST'),
    put: sender('PUT'),
    patch: sender('PATCH'),
    delete: sender('DELETE'),
  }
}

/** Requests with a token of scope `read` alone. */
export async function readOnlyClient(souk: TestApp, { username, password }: TestUser): Promise<StoreClient> {
  await ensureOauthClient(souk)
  const payload = { grant_type: 'password', username, password, scope: 'read', ...CLIENT }
  const token = await souk.inject({ method: 'POST', url: '/oauth/token/', payload })
  return clientOf(souk, { authorization: `Bearer ${token.json<{ access_token: string }>().access_token}` })
}

interface ProductWishes {
  title?: string
  price?: number
  stock?: Record<string, number>
}

/** Puts a product on sale and returns its id. */
export async function sell(seller: StoreClient, wishes: ProductWishes = {}): Promise<string> {
  const product = { title: 'Linen shirt', description: 'A light shirt.', price: 100, stock: { default: 10 }, ...wishes }
  const response = await seller.post('/api/products/', product)
  return response.json<{ id: string }>().id
}
