import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'

import { ForbiddenError, TooManyRequestsError, UnauthenticatedError, UnavailableError } from '../platform/errors.ts'
import type { App } from '../platform/http/app.ts'
import type { Authenticate, Caller } from '../platform/http/caller.ts'
import { problemSchema } from '../platform/http/schemas.ts'
import { createSlots } from '../platform/slots.ts'
import { ChangesSocket } from './changes-socket.ts'
import type { Hub } from './hub.ts'
import { createUpgrades, type Upgrades } from './upgrades.ts'

/**
 * Credentials looked up at one time, so that a storm of reconnecting sockets leaves connections for requests. Passwords do not stand in
 * this line, they have one of their own: tokens must not wait behind slow hashes.
 */
const LOOKUPS = 4

type SocketRequest = FastifyRequest<{ Querystring: { access_token?: string; token?: string } }>

export function registerSocketRoutes(app: App, hub: Hub, authenticate: Authenticate): void {
  const upgrades = createUpgrades(app, { frameBytes: hub.limits.frameBytes })
  const admit = createAdmission(app, hub, authenticate)
  const credential = Type.String({ description: 'A credential, for clients that cannot send headers.' })

  app.get(
    '/ws/changes/',
    {
      schema: {
        tags: ['Live'],
        summary: 'Follow the change log over a WebSocket',
        operationId: 'openChangesSocket',
        description:
          'A WebSocket handshake. The client then sends JSON objects: `subscribe` (`topics`, and `since` with `epoch` to resume), `unsubscribe`, `ping`; each may carry a `ref` that is echoed. A credential is needed: cookie of a trusted origin, `Authorization`, or the query parameter.',
        querystring: Type.Object({ access_token: Type.Optional(credential), token: Type.Optional(credential) }),
        response: {
          101: Type.Null({ description: 'The connection is a WebSocket now.' }),
          426: { ...problemSchema, description: 'The request is no WebSocket handshake.' },
        },
      },
      // Open for the server, because here the credential may be in the query as well; the handshake looks at it itself.
      config: { access: 'open', needsDatabase: false, errors: [400, 401, 403, 429, 503], postman: { skip: true } },
    },
    async (request: SocketRequest, reply) => {
      if (!upgrades.isUpgrade(request)) return refuseRequest(reply)
      const checkedSince = performance.now()
      const caller = await admit(request)
      openSocket(hub, upgrades, caller, checkedSince, request, reply)
      return reply
    },
  )
}

function openSocket(
  hub: Hub,
  upgrades: Upgrades,
  caller: Caller,
  checkedSince: number,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (!hub.socketQuota.take(caller.userId)) {
    throw new TooManyRequestsError(`At most ${hub.limits.socketsPerUser} sockets at a time.`, 1)
  }
  let isTaken = false
  try {
    const connection = upgrades.accept(request, reply)
    if (connection === undefined) return
    // From here on the socket gives its place back when it closes.
    isTaken = true
    hub.addSocket(new ChangesSocket(hub, caller, connection), checkedSince)
  } finally {
    if (!isTaken) hub.socketQuota.give(caller.userId)
  }
}

/** Who opens the socket (live contract, section 4): 401 without a good credential, 403 for a cookie shown by a foreign page. */
function createAdmission(app: App, hub: Hub, authenticate: Authenticate): (request: SocketRequest) => Promise<Caller> {
  const slots = createSlots(LOOKUPS)
  let waiting = 0

  return async (request) => {
    if (waiting >= hub.limits.handshakes) throw new UnavailableError('Too many sockets are being opened.', 1)
    waiting += 1
    try {
      const credentials = { headers: credentialHeaders(request), ip: request.ip }
      const isPassword = /^basic /i.test(credentials.headers.authorization ?? '')
      const caller = await (isPassword ? authenticate(credentials) : slots(() => authenticate(credentials)))
      if (caller === undefined) throw new UnauthenticatedError()
      const { origin } = request.headers
      if (caller.via === 'session' && origin !== undefined && !app.origins.mayUseCookies(origin, request)) {
        throw new ForbiddenError('The origin is not trusted.')
      }
      if (!caller.scopes.includes('read')) throw new ForbiddenError('This credential lacks the scope "read".')
      return caller
    } finally {
      waiting -= 1
    }
  }
}

/** A header that is present decides alone (identity contract, section 1.3); then the query parameter, which is shown on purpose; then the cookie. */
function credentialHeaders({ headers, query }: SocketRequest): { authorization?: string; cookie?: string } {
  const { authorization, cookie } = headers
  if (authorization !== undefined) return { authorization }
  const token = query.access_token || query.token
  if (token) return { authorization: `Bearer ${token}` }
  return cookie === undefined ? {} : { cookie }
}

/** RFC 9110, section 15.5.22. */
function refuseRequest(reply: FastifyReply): FastifyReply {
  const detail = 'This is a WebSocket address: open it with a WebSocket client.'
  const title = 'Upgrade Required'
  const body = {
    type: 'about:blank',
    title,
    status: 426,
    detail,
    error: detail,
    message: detail,
    code: 'upgrade_required',
  }
  return reply.code(426).header('upgrade', 'websocket').type('application/problem+json').send(body)
}
