import { Type, type Static } from 'typebox'

import type { App, BodyType } from '../../platform/http/app.ts'
import { InvalidError } from '../../platform/errors.ts'
import { FormFields } from '../../platform/http/validation.ts'
import { requireClient } from './oauth-clients.ts'
import { grantByPassword, grantByRefresh, introspectToken, revokeOauthToken } from './oauth.ts'

const tags = ['OAuth2']
const text = (description: string) => Type.Optional(Type.String({ description }))

const clientMembers = {
  client_id: text('Unless the client authenticates by HTTP Basic.'),
  client_secret: text('The same.'),
}

const tokenBody = Type.Object({
  ...clientMembers,
  grant_type: text('`password` or `refresh_token`.'),
  username: text('User name or e-mail; with `password`.'),
  password: text('With `password`.'),
  refresh_token: text('With `refresh_token`.'),
  scope: text('Words out of `read` and `write`; default both, or what was granted.'),
})

const aboutTokenBody = Type.Object({ ...clientMembers, token: text('Required.'), token_type_hint: text('Not needed.') })

const oauthPairSchema = Type.Object({
  access_token: Type.String(),
  refresh_token: Type.String(),
  expires_in: Type.Integer(),
  token_type: Type.Literal('Bearer'),
  scope: Type.String(),
})

const introspectionSchema = Type.Object({
  active: Type.Boolean(),
  scope: Type.Optional(Type.String()),
  username: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  exp: Type.Optional(Type.Integer()),
})

/** Without the client's secret in the collection's variables the answer is 401. */
const asClient = { expect: [200, 401] } as const
const client = { client_id: '{{clientId}}', client_secret: '{{clientSecret}}' }

/** The password flow of OAuth2; errors have the form of RFC 6749, section 5.2. */
export function oauthRoutes(app: App): void {
  const bodyTypes: readonly BodyType[] = ['form', 'multipart', 'json']
  const config = { access: 'open', answersSecret: true, bodyTypes, errorFormat: 'oauth', errors: [401] } as const

  app.post(
    '/oauth/token/',
    {
      config: {
        ...config,
        postman: {
          ...asClient,
          order: 40,
          body: { ...client, grant_type: 'password', username: '{{username}}', password: '{{password}}' },
          save: { oauthToken: 'access_token' },
        },
      },
      preValidation: refuseRepeated,
      onSend: neverStored,
      schema: {
        tags,
        operationId: 'issueOauthToken',
        summary: 'Get an OAuth2 token pair',
        body: tokenBody,
        response: { 200: oauthPairSchema },
      },
    },
    async (request) => grantToken(app, request.headers.authorization, request.body, request.ip),
  )

  app.post(
    '/oauth/revoke_token/',
    {
      config: { ...config, postman: { ...asClient, order: 42, body: { ...client, token: '{{oauthToken}}' } } },
      preValidation: refuseRepeated,
      onSend: neverStored,
      schema: {
        tags,
        operationId: 'revokeOauthToken',
        summary: 'Revoke a token of this client',
        body: aboutTokenBody,
        response: { 200: Type.Null({ description: 'Whether or not the token existed.' }) },
      },
    },
    async (request, reply) => {
      const clientId = await requireClient(app.db, request.headers.authorization, request.body)
      const token = requireMember(request.body.token, 'token')
      await app.db.transaction((tx) => revokeOauthToken(tx, clientId, token, app.clock.now()))
      // An empty body that no client tries to read as JSON (RFC 7009, section 2.2).
      return reply
        .type('text/plain')
        .serializer(() => '')
        .send(null)
    },
  )

  app.post(
    '/oauth/introspect/',
    {
      config: { ...config, postman: { ...asClient, order: 41, body: { ...client, token: '{{oauthToken}}' } } },
      preValidation: refuseRepeated,
      onSend: neverStored,
      schema: {
        tags,
        operationId: 'introspectOauthToken',
        summary: 'Tell what a token stands for',
        body: aboutTokenBody,
        response: { 200: introspectionSchema },
      },
    },
    async (request) => {
      await requireClient(app.db, request.headers.authorization, request.body)
      return introspectToken(app.db, requireMember(request.body.token, 'token'), app.clock.now())
    },
  )
}

/** No parameter may come more than once (RFC 6749, section 3.2). */
async function refuseRepeated({ body }: { body: unknown }): Promise<void> {
  const repeated =
    body instanceof FormFields ? Object.entries(body.values).find(([, value]) => Array.isArray(value)) : undefined
  if (repeated !== undefined)
    throw new InvalidError(`${repeated[0]} is there more than once.`, { code: 'invalid_request' })
}

/** On the way out, so that errors carry it as well (RFC 6749, section 5.1). */
async function neverStored(_request: unknown, reply: { header(name: string, value: string): unknown }): Promise<void> {
  reply.header('cache-control', 'no-store')
  reply.header('pragma', 'no-cache')
}

async function grantToken(app: App, authorization: string | undefined, body: Static<typeof tokenBody>, ip: string) {
  const { grant_type: grantType, scope } = body
  if (grantType !== 'password' && grantType !== 'refresh_token') {
    throw new InvalidError('The grant type must be password or refresh_token.', { code: 'unsupported_grant_type' })
  }
  const clientId = await requireClient(app.db, authorization, body)
  if (grantType === 'refresh_token') {
    return grantByRefresh(app, clientId, requireMember(body.refresh_token, 'refresh_token'), scope)
  }
  const username = requireMember(body.username, 'username')
  const password = requireMember(body.password, 'password')
  return grantByPassword(app, clientId, { username, password, ip }, scope)
}

function requireMember(value: string | undefined, name: string): string {
  if (value === undefined || value === '') throw new InvalidError(`${name} is missing.`, { code: 'invalid_request' })
  return value
}
