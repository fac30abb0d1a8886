import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'

import type { App } from '../../platform/http/app.ts'
import { InvalidError, NotFoundError, UnauthenticatedError } from '../../platform/errors.ts'
import { problemWith } from '../../platform/http/schemas.ts'
import { setSessionCookies } from './cookies.ts'
import { issueJwtPair, issueSession, issueToken } from './issue.ts'
import type { Jwts } from './jwts.ts'
import { renewSignIn } from './refresh.ts'
import {
  jwtPairSchema,
  messageSchema,
  refreshBody,
  signInBody,
  statusAndJwtPairSchema,
  tokenAndNameSchema,
  tokenSchema,
} from './schemas.ts'
import { signIn, type SignInAttempt } from './sign-in.ts'
import { digestOf } from './tokens.ts'

const tags = ['Sign-in']

/** The ways to sign in with a password, each with the words of its contract, and the refresh of a JWT pair. */
export function signInRoutes(app: App, jwts: Jwts): void {
  tokenRoutes(app)
  signInRoute(app, jwts)
  jwtRoutes(app, jwts)
  sessionRoute(app)
}

function tokenRoutes(app: App): void {
  app.post(
    '/api/auth/login/',
    {
      config: {
        access: 'open',
        answersSecret: true,
        errors: [401],
        postman: { order: 30, body: { username: '{{username}}', password: '{{password}}' }, save: { token: 'token' } },
      },
      schema: {
        tags,
        operationId: 'logIn',
        summary: 'Get an API token',
        body: signInBody,
        response: { 200: tokenSchema },
      },
    },
    async (request) => {
      const token = await signIn(app, attemptOf(request, request.body), {
        kind: 'token',
        hidesUnknown: true,
        refuse: () => new UnauthenticatedError('Invalid credentials'),
        issue: (_account, _signInId, now) => issueToken(app.config, now),
      })
      return { token }
    },
  )

  app.post(
    '/login/',
    {
      config: {
        postman: { order: 31, body: { username: '{{username}}', password: '{{password}}' } },
        access: 'open',
        answersSecret: true,
        bodyTypes: ['json', 'form'],
        flatFieldErrors: true,
        errors: [404],
      },
      schema: {
        tags,
        operationId: 'logInForFeed',
        summary: 'Get an API token (product feed clients)',
        body: signInBody,
        response: { 200: tokenAndNameSchema },
      },
    },
    async (request) => {
      const token = await signIn(app, attemptOf(request, request.body), {
        kind: 'token',
        // The product feed contract, section 2, tells which names exist.
        hidesUnknown: false,
        refuse: (why) =>
          why === 'unknown' ? new NotFoundError('User not found.') : new InvalidError('Invalid Password.'),
        issue: (_account, _signInId, now) => issueToken(app.config, now),
      })
      return { token, username: request.body.username }
    },
  )
}

function signInRoute(app: App, jwts: Jwts): void {
  app.post(
    '/api/auth/signin/',
    {
      config: {
        access: 'open',
        answersSecret: true,
        errors: [401],
        postman: {
          order: 32,
          body: { username: '{{username}}', password: '{{password}}' },
          save: { lastToken: 'access' },
        },
      },
      schema: {
        tags,
        operationId: 'signIn',
        summary: 'Get a JWT pair and a session cookie',
        body: signInBody,
        response: { 200: statusAndJwtPairSchema },
      },
    },
    async (request, reply) => {
      const { pair, session } = await signIn(app, attemptOf(request, request.body), {
        kind: 'jwt',
        hidesUnknown: false,
        refuse: (why) =>
          why === 'wrong-password'
            ? new UnauthenticatedError('Invalid username or password')
            : new InvalidError('Invalid Username'),
        issue: (account, signInId, now) => {
          const jwtPair = issueJwtPair(jwts, app.config, account, signInId, now)
          const cookie = issueSession(now)
          const credentials = [...jwtPair.credentials, ...cookie.credentials]
          return { ...jwtPair, credentials, answer: { pair: jwtPair.answer, session: cookie.answer } }
        },
      })
      setSessionCookies(request, reply, session)
      return { status: 200 as const, ...pair }
    },
  )
}

function jwtRoutes(app: App, jwts: Jwts): void {
  app.post(
    '/api/token/',
    {
      config: {
        access: 'open',
        answersSecret: true,
        errors: [401],
        postman: {
          order: 33,
          body: { username: '{{username}}', password: '{{password}}' },
          save: { refresh: 'refresh' },
        },
      },
      schema: {
        tags,
        operationId: 'obtainJwt',
        summary: 'Get a JWT pair',
        body: signInBody,
        response: { 200: jwtPairSchema },
      },
    },
    async (request) =>
      signIn(app, attemptOf(request, request.body), {
        kind: 'jwt',
        hidesUnknown: true,
        refuse: () => new UnauthenticatedError('No active account found with the given credentials'),
        issue: (account, signInId, now) => issueJwtPair(jwts, app.config, account, signInId, now),
      }),
  )

  app.post(
    '/api/token/refresh/',
    {
      config: {
        access: 'open',
        answersSecret: true,
        postman: { order: 34, body: { refresh: '{{refresh}}' }, save: { accessToken: 'access' } },
      },
      schema: {
        tags,
        operationId: 'refreshJwt',
        summary: 'Exchange a refresh token for a new pair',
        body: refreshBody,
        response: { 200: jwtPairSchema, 401: problemWith({ code: Type.Literal('token_not_valid') }) },
      },
    },
    async (request) => refreshJwt(app, jwts, request.body.refresh),
  )
}

async function refreshJwt(app: App, jwts: Jwts, token: string) {
  const now = app.clock.now()
  const claims = jwts.read('refresh', token, now)
  const pair =
    claims &&
    (await app.db.transaction((tx) =>
      renewSignIn(tx, { digest: digestOf(claims.jti), kind: 'jwt-refresh', clientId: null }, now, (credential) =>
        issueJwtPair(jwts, app.config, credential, credential.signInId, now),
      ),
    ))
  if (pair) return pair
  throw new UnauthenticatedError('Token is invalid or expired', { code: 'token_not_valid' })
}

function sessionRoute(app: App): void {
  app.post(
    '/api/login/',
    {
      // A missing field gets the same answer as a wrong password (sources contract, section 2.1), so the handler judges the body.
      attachValidation: true,
      config: {
        access: 'open',
        answersSecret: true,
        bodyTypes: ['json', 'form', 'multipart'],
        postman: { order: 35, body: { username: '{{username}}', password: '{{password}}' } },
      },
      schema: {
        tags,
        operationId: 'logInForSession',
        summary: 'Get a session cookie (data source clients)',
        body: signInBody,
        response: { 200: messageSchema },
      },
    },
    async (request, reply) => {
      if (request.validationError) throw new InvalidError('Invalid credentials')
      const session = await signIn(app, attemptOf(request, request.body), {
        kind: 'session',
        hidesUnknown: true,
        refuse: () => new InvalidError('Invalid credentials'),
        issue: (_account, _signInId, now) => issueSession(now),
      })
      setSessionCookies(request, reply, session)
      return { message: `Hello ${request.body.username}` }
    },
  )
}

function attemptOf(request: FastifyRequest, body: { username: string; password: string }): SignInAttempt {
  return { username: body.username, password: body.password, ip: request.ip }
}
