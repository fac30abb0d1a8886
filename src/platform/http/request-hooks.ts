import type {
  FastifyReply,
  FastifyRequest,
  onRequestAsyncHookHandler,
  onResponseHookHandler,
  onSendAsyncHookHandler,
  onSendHookHandler,
  preValidationAsyncHookHandler,
  preValidationHookHandler,
} from 'fastify'

import type { Db } from '../db/db.ts'
import { NotFoundError, UnavailableError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'
import { requireAdmission } from './admission.ts'
import { hasBody, requireBodyType } from './body-parser.ts'
import type { Authenticate } from './caller.ts'
import { beginUnderKey, finishUnderKey, idempotencyKey } from './idempotency.ts'
import { hasParameters, type KnownRoutes } from './known-routes.ts'
import type { HttpLimits } from './limits.ts'
import type { Origins } from './origins.ts'
import { discardRest } from './read-body.ts'
import { requireCleanText } from './clean-text.ts'
import { setCommonHeaders } from './response-headers.ts'
import { isUnsafe, type RoutePolicy } from './route-policy.ts'
import { MethodNotAllowedError } from './server-errors.ts'
import type { ServerState } from './shutdown.ts'

export interface HookContext {
  db: Db
  origins: Origins
  authenticate: Authenticate
  metrics: Metrics
  limits: HttpLimits
  state: ServerState
  maxWaiting: number
  routes: KnownRoutes
}

export interface RouteHooks {
  onRequest: onRequestAsyncHookHandler
  preValidation: (preValidationHookHandler | preValidationAsyncHookHandler)[]
  onSend: (onSendHookHandler | onSendAsyncHookHandler)[]
  onResponse: onResponseHookHandler
}

/** The hooks of one route, as closures over its policy: nothing is looked up per request. */
export function routeHooks(context: HookContext, policy: RoutePolicy): RouteHooks {
  const takesAnyPath = hasParameters(policy.pattern)
  return {
    onRequest: async (request, reply) => {
      arrive(context, request, reply)
      noticeAbsence(reply, () => leave(context, request, reply, { ...policy, isAborted: true }))
      if (takesAnyPath) refuseWrittenOutPath(context.routes, request)
      await admit(context, policy, request, reply)
    },
    preValidation: [
      (request, _reply, done) => {
        if (policy.expectsObject && request.body === undefined) request.body = {}
        done(refuseUnstorableText(request))
      },
      ...(policy.takesIdempotencyKey ? [beginHook(context)] : []),
    ],
    onSend: [...(policy.takesIdempotencyKey ? [finishHook(context)] : []), answeringHook],
    onResponse: (request, reply, done) => {
      absences.delete(reply)
      leave(context, request, reply, policy)
      done()
    },
  }
}

interface Absence {
  isAnswering: boolean
  end: () => void
}

/** Of requests that are not over: where the client has gone before it had its answer, there is no `onResponse`. */
const absences = new WeakMap<FastifyReply, Absence>()

/** Calls `end` when the client has gone and whoever works for it has come to an answer all the same. */
function noticeAbsence(reply: FastifyReply, end: () => void): void {
  absences.set(reply, { isAnswering: false, end })
  reply.raw.once('close', () => {
    const absence = absences.get(reply)
    if (absence?.isAnswering) absence.end()
  })
}

const answeringHook: onSendHookHandler = (_request, reply, payload, done) => {
  const absence = absences.get(reply)
  if (absence !== undefined && !absence.isAnswering) {
    absence.isAnswering = true
    if (reply.raw.closed) absence.end()
  }
  done(null, payload)
}

/** The router takes a path for a parameter when the route that writes it out has not this method. */
function refuseWrittenOutPath(routes: KnownRoutes, request: FastifyRequest): void {
  const path = pathOf(request)
  if (routes.isLiteral(path)) throw new MethodNotAllowedError(request.method, routes.at(path)?.allow ?? '')
}

/** What every request gets, before anything can refuse it. */
export function arrive({ state, origins }: HookContext, request: FastifyRequest, reply: FastifyReply): void {
  state.running += 1
  setCommonHeaders(request, reply, origins)
}

/** Refuses in the order: shutting down, overrun, credential, rights, origin, media type. The body is not touched before all that. */
async function admit(
  context: HookContext,
  policy: RoutePolicy,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  request.policy = policy
  requireCapacity(context, policy)
  if (policy.access !== 'open') {
    request.callerIfAny = await context.authenticate({ headers: request.headers, ip: request.ip })
    requireAdmission(request, request.callerIfAny, policy, context.origins)
  }
  if (policy.takesIdempotencyKey && request.callerIfAny !== undefined && isUnsafe(request.method)) {
    request.idempotencyKey = idempotencyKey(request)
  }
  if (policy.bodyTypes.length === 0 || !hasBody(request)) return
  requireBodyType(request, policy.bodyTypes)
  // The client may have asked to be told before it sends the body (RFC 9110, section 10.1.1); a refused upload then never starts.
  if (request.headers.expect !== undefined) reply.raw.writeContinue()
}

function requireCapacity({ state, db, maxWaiting }: HookContext, policy: Pick<RoutePolicy, 'needsDatabase'>): void {
  if (state.closing) throw new UnavailableError('The server is shutting down.', 1, { headers: { connection: 'close' } })
  if (policy.needsDatabase && db.stats.waiting > maxWaiting) throw new UnavailableError('The server is overloaded.', 1)
}

/** NUL in the path names nothing; in a query parameter it is that parameter's error. Bodies were looked at when they were parsed. */
function refuseUnstorableText(request: FastifyRequest): Error | undefined {
  if (!request.raw.url?.includes('%00')) return undefined
  if (Object.values(request.params as Record<string, string>).some((value) => value.includes('\0')))
    return new NotFoundError(request.routeOptions.config.notFound)
  try {
    requireCleanText({ ...(request.query as object) })
    return undefined
  } catch (error) {
    return error as Error
  }
}

const NO_BODY = Buffer.alloc(0)

function beginHook({ db }: HookContext): preValidationAsyncHookHandler {
  return async (request, reply) => {
    const key = request.idempotencyKey
    if (key === undefined) return undefined
    const isAnswered = await beginUnderKey(request, reply, db, key, request.bodyHash ?? NO_BODY)
    return isAnswered ? reply : undefined
  }
}

function finishHook({ db }: HookContext): onSendAsyncHookHandler {
  return async (request, reply, payload) => {
    return request.idempotencyKey === undefined ? payload : finishUnderKey(request, reply, db, payload)
  }
}

/** Logs and counts an answer that is out, or that nobody waits for any more. Neither the query nor any header is logged: both can carry credentials. */
export function leave(
  { state, metrics, limits }: HookContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { pattern, isQuiet, isAborted }: Pick<RoutePolicy, 'pattern' | 'isQuiet'> & { isAborted?: boolean },
): void {
  state.running -= 1
  discardRest(request.raw, limits.rest)
  const { method } = request
  const status = reply.statusCode
  const ms = reply.elapsedTime
  metrics.observeRequest(method, pattern, status, ms / 1000)
  const level = isQuiet ? 'debug' : 'info'
  request.log[level](
    {
      method,
      path: pathOf(request),
      route: pattern,
      status,
      ...(isAborted === true ? { aborted: true } : {}),
      ms: Math.round(ms * 100) / 100,
      userId: request.callerIfAny?.userId,
    },
    'request',
  )
}

export function pathOf(request: FastifyRequest): string {
  const url = request.raw.url ?? ''
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
