import type { FastifyReply, FastifyRequest } from 'fastify'

import type { App } from '../../platform/http/app.ts'
import type { Caller } from '../../platform/http/caller.ts'
import type { Tx } from '../../platform/db/db.ts'
import { createFindBearer } from './authenticate.ts'
import { clearSessionCookies } from './cookies.ts'
import { readCookie, readCredential, SESSION_COOKIE } from './credentials.ts'
import { messageSchema } from './schemas.ts'
import { logOut } from './sign-in.ts'
import { isCredentialOf } from './sign-in-queries.ts'
import { digestOf } from './tokens.ts'

const tags = ['Sign-in']

/** Log-out in the three shapes of the contracts, and the check whether one is signed in. */
export function signOutRoutes(app: App): void {
  app.post(
    '/api/auth/logout/',
    {
      config: { anyScope: true, postman: { order: 920, credential: 'accessToken' } },
      schema: {
        tags,
        operationId: 'logOut',
        summary: 'End the sign-in of this credential',
        response: { 200: messageSchema },
      },
    },
    async (request, reply) => {
      await endSignIn(app, request, reply)
      return { message: 'Logged out successfully' }
    },
  )

  app.post(
    '/logout/',
    {
      config: { anyScope: true, postman: { order: 930 } },
      schema: {
        tags,
        operationId: 'logOutForFeed',
        summary: 'End the sign-in of this credential (product feed clients)',
        response: { 200: messageSchema },
      },
    },
    async (request, reply) => {
      await endSignIn(app, request, reply)
      return { message: `${introduce(request.caller)} logged out successfully` }
    },
  )

  app.get(
    '/auth-protected-check/',
    {
      schema: {
        tags,
        operationId: 'checkSignedIn',
        summary: 'Tell who is signed in',
        response: { 200: messageSchema },
      },
    },
    async (request) => ({ message: `${introduce(request.caller)} is authenticated.` }),
  )

  sessionLogOutRoutes(app)
}

/** `GET` and `POST /api/logout/` answer 200 to everybody, signed in or not (sources contract, section 2.1). */
function sessionLogOutRoutes(app: App): void {
  const findBearer = createFindBearer(app)

  async function handle(request: FastifyRequest, reply: FastifyReply) {
    const caller = await findBearer(readCredential(request.headers))
    if (caller) await app.db.transaction((tx) => logOut(tx, caller))
    clearSessionCookies(request, reply)
    return { message: 'Logged out successfully' }
  }

  const summary = 'End the session, if there is one (data source clients)'
  app.get(
    '/api/logout/',
    {
      config: { access: 'open', postman: { order: 910 } },
      schema: { tags, operationId: 'getLogOut', summary, response: { 200: messageSchema } },
    },
    handle,
  )
  app.post(
    '/api/logout/',
    {
      config: { access: 'open', postman: { order: 911 } },
      schema: { tags, operationId: 'postLogOut', summary, response: { 200: messageSchema } },
    },
    handle,
  )
}

async function endSignIn(app: App, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { caller } = request
  const isCookieEnded = await app.db.transaction(async (tx) => {
    await logOut(tx, caller)
    return caller.via === 'session' || (await showsCookieOf(tx, request, caller))
  })
  if (isCookieEnded) clearSessionCookies(request, reply)
}

/** Whether the request also carries a session cookie of the caller's sign-in; one of another sign-in lives on. */
async function showsCookieOf(tx: Tx, request: FastifyRequest, caller: Caller): Promise<boolean> {
  const session = readCookie(request.headers.cookie, SESSION_COOKIE)
  if (session === undefined || caller.signInId === null) return false
  return isCredentialOf(tx, digestOf(session), caller.signInId)
}

/** The words of the product feed contract, section 2; a user without an e-mail address has none to show. */
function introduce(caller: Caller): string {
  return `User ${caller.username} with an email ${caller.email ?? ''}`
}
