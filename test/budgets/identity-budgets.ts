import type { InjectOptions } from 'fastify'

import type { TestUser } from '../support/app.ts'
import type { Budget, Budgets } from './budgets.ts'
import { call, type World } from './world.ts'

const CLIENT = { client_id: 'budget', client_secret: 'budget-secret' }

function signUp(statements: number, url: string, extra: object = {}): Budget {
  return [
    statements,
    ({ unique }) => {
      const name = unique()
      return call('POST', url, undefined, {
        username: name,
        email: `${name}@example.com`,
        password: 'a good password',
        ...extra,
      })
    },
  ]
}

function signIn(statements: number, url: string): Budget {
  return [statements, ({ seller: { username, password } }) => call('POST', url, undefined, { username, password })]
}

/** A request of somebody who has just signed up. */
function fresh(statements: number, requestOf: (user: TestUser) => InjectOptions): Budget {
  return [statements, async ({ test }) => requestOf(await test.signUp())]
}

function form(url: string, fields: Record<string, string>): InjectOptions {
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams({ ...CLIENT, ...fields }).toString(),
  }
}

async function oauthToken({ prepare, seller: { username, password } }: World): Promise<string> {
  const pair = await prepare(form('/oauth/token/', { grant_type: 'password', username, password }))
  return String(pair.access_token)
}

export const identityBudgets: Budgets = {
  'POST /api/auth/signup/': signUp(5, '/api/auth/signup/'),
  'POST /api/users/': signUp(3, '/api/users/', { first_name: 'Ada', last_name: 'Lovelace' }),
  'POST /signup/': signUp(3, '/signup/'),
  'POST /api/register/': signUp(3, '/api/register/', { confirm_password: 'a good password' }),
  'POST /api/auth/login/': signIn(5, '/api/auth/login/'),
  'POST /login/': signIn(5, '/login/'),
  'POST /api/auth/signin/': signIn(6, '/api/auth/signin/'),
  'POST /api/token/': signIn(5, '/api/token/'),
  'POST /api/login/': signIn(5, '/api/login/'),
  'POST /api/token/refresh/': [
    5,
    async ({ prepare, seller: { username, password } }) => {
      const { refresh } = await prepare(call('POST', '/api/token/', undefined, { username, password }))
      return call('POST', '/api/token/refresh/', undefined, { refresh })
    },
  ],
  'POST /api/auth/logout/': fresh(3, (user) => call('POST', '/api/auth/logout/', user)),
  'POST /logout/': fresh(3, (user) => call('POST', '/logout/', user)),
  'POST /api/logout/': fresh(3, (user) => call('POST', '/api/logout/', user)),
  'GET /api/logout/': fresh(3, (user) => call('GET', '/api/logout/', user)),
  'GET /auth-protected-check/': [1, ({ seller }) => call('GET', '/auth-protected-check/', seller)],
  'POST /oauth/token/': [
    7,
    ({ seller: { username, password } }) => form('/oauth/token/', { grant_type: 'password', username, password }),
  ],
  'POST /oauth/revoke_token/': [4, async (world) => form('/oauth/revoke_token/', { token: await oauthToken(world) })],
  'POST /oauth/introspect/': [2, async (world) => form('/oauth/introspect/', { token: await oauthToken(world) })],
  'GET /api/users/me/': [2, ({ seller }) => call('GET', '/api/users/me/', seller)],
  'GET /api/users/{id}/': [3, ({ seller, buyer }) => call('GET', `/api/users/${buyer.userId}/`, seller)],
  'POST /api/users/{id}/update-password/': fresh(6, (user) =>
    call('POST', `/api/users/${user.userId}/update-password/`, user, {
      old_password: user.password,
      new_password: 'another good password',
    }),
  ),
  'GET /api/user/{user_id}/': [2, ({ seller, buyer }) => call('GET', `/api/user/${buyer.userId}/`, seller)],
  'PUT /api/user/{user_id}/': [
    6,
    ({ buyer, unique }) => call('PUT', `/api/user/${buyer.userId}/`, buyer, { first_name: unique() }),
  ],
  'DELETE /api/user/{user_id}/': fresh(15, (user) => call('DELETE', `/api/user/${user.userId}/`, user)),
}
