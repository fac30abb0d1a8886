import { Type, type TSchema } from 'typebox'

import { problemSchema } from './schemas.ts'

/** A problem document whose field errors are repeated at the top level (product-feed contract, section 1). */
const flatProblemSchema = Type.Object(problemSchema.properties, {
  description: 'A problem whose field errors are also members of their own.',
  additionalProperties: Type.Array(Type.String()),
})

const oauthErrorSchema = Type.Object(
  { error: Type.String(), error_description: Type.String() },
  { description: 'RFC 6749, section 5.2.' },
)

export const componentSchemas: Readonly<Record<string, TSchema>> = {
  Problem: problemSchema,
  FlatProblem: flatProblemSchema,
  OAuthError: oauthErrorSchema,
}

/** The five credentials (identity contract, section 1.3). */
export const securitySchemes = {
  apiToken: {
    type: 'apiKey',
    in: 'header',
    name: 'Authorization',
    description: '`Token <token>`, from `POST /api/auth/login/` or `POST /login/`.',
  },
  oauth2: {
    type: 'oauth2',
    description: 'Opaque access token, as `Bearer <token>`.',
    flows: {
      password: {
        tokenUrl: '/oauth/token/',
        refreshUrl: '/oauth/token/',
        scopes: { read: 'GET and HEAD', write: 'everything else' },
      },
    },
  },
  jwt: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'From `POST /api/token/` or `POST /api/auth/signin/`.',
  },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'sessionid',
    description: 'From `POST /api/login/` or `POST /api/auth/signin/`.',
  },
  basic: { type: 'http', scheme: 'basic', description: 'User name or e-mail, and password.' },
} as const

/** Any one of the five serves; only OAuth2 tokens can lack a scope. */
export function securityFor(scope: 'read' | 'write'): Record<string, string[]>[] {
  return [{ apiToken: [] }, { oauth2: [scope] }, { jwt: [] }, { session: [] }, { basic: [] }]
}
