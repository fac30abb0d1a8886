import Fastify, { LogController, type FastifyRequest, type RouteOptions } from 'fastify'

import type { Clock } from '../clock.ts'
import type { Config } from '../config.ts'
import type { Db } from '../db/db.ts'
import { NotFoundError, UnauthenticatedError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Logger } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import type { App } from './app.ts'
import { hasBody, parseBody, requireBodyType } from './body-parser.ts'
import type { Authenticate } from './caller.ts'
import { answerClientError, sendProblem } from './error-responses.ts'
import { createKnownRoutes } from './known-routes.ts'
import { BODY_LIMIT, defaultLimits, MAX_HEADER_BYTES, MAX_PATH_PART, type HttpLimits } from './limits.ts'
import { createOrigins } from './origins.ts'
import { createReadinessChecks } from './readiness.ts'
import { arrive, leave, pathOf, routeHooks, type HookContext } from './request-hooks.ts'
import { answerPreflight, isPreflight } from './response-headers.ts'
import { simplifyResponses } from './response-schemas.ts'
import { routePolicy, type RoutePolicy } from './route-policy.ts'
import { MethodNotAllowedError } from './server-errors.ts'
import { closeGracefully, type ServerState } from './shutdown.ts'
import { decodableUrl } from './url.ts'
import { registerSystemRoutes } from './system-routes.ts'
import { compileValidator } from './validation.ts'

export { idempotencySweep } from './idempotency.ts'

declare module 'fastify' {
  interface FastifyRequest {
    policy: RoutePolicy
    idempotencyKey: string | undefined
    bodyHash: Buffer | undefined
  }
}

export interface HttpServerOptions {
  config: Config
  db: Db
  clock: Clock
  log: Logger
  authenticate: Authenticate
  version: string
  limits?: Partial<HttpLimits>
}

/** The HTTP server with everything that is the same for all routes; modules register theirs on it, then it listens. */
export async function createHttpServer(options: HttpServerOptions): Promise<App> {
  const { config, db, clock, authenticate } = options
  const limits = { ...defaultLimits, ...options.limits }
  const state: ServerState = { closing: false, running: 0 }
  const origins = createOrigins(config)
  const metrics = createMetrics(db)
  const maxWaiting = limits.waitingPerConnection * config.databasePoolSize
  const routes = createKnownRoutes()
  const context: HookContext = { db, origins, authenticate, metrics, limits, state, maxWaiting, routes }
  const app = createFastify(options, limits, context)

  app.decorate('db', db).decorate('config', config).decorate('clock', clock).decorate('metrics', metrics)
  app.decorate('origins', origins).decorate('readinessChecks', createReadinessChecks())
  decorateRequests(app)
  app.addHook('onRoute', (route) => prepareRoute(route, context))
  parseBodies(app, limits)
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler(sendProblem)
  app.setNotFoundHandler((request, reply) => sendProblem(new NotFoundError(), request, reply))
  answerUnknownRequests(app, context)
  closeGracefully(app, state, limits.closeGraceMs)
  registerSystemRoutes(app, { version: options.version, routes })
  return app
}

function createFastify({ config, log }: HttpServerOptions, limits: HttpLimits, context: HookContext): App {
  const app = Fastify({
    loggerInstance: log,
    // Our own line per request is written when the answer is out (`leave`).
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    requestIdHeader: false,
    genReqId: (request) => requestId(request.headers['x-request-id']),
    trustProxy: config.trustProxy.length === 0 ? false : config.trustProxy,
    bodyLimit: BODY_LIMIT,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PATH_PART },
    rewriteUrl: ({ url }) => decodableUrl(url ?? '/'),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    connectionTimeout: limits.idleTimeoutMs,
    // Uploads may take as long as they keep sending (`watchedStream`); other bodies have their own limit (`readBody`).
    requestTimeout: 0,
    http: {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(2_000, limits.headersTimeoutMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      arrive(context, request, reply)
      sendProblem(error, request, reply)
      leave(context, request, reply, { pattern: 'unmatched', isQuiet: false })
    },
  }) as unknown as App
  // Without a listener Node tells every client to go ahead with its body before anybody has looked at the headers.
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response))
  return app
}

/** An id given by the client or a proxy is kept, so that one request can be followed through several systems. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : newId()
}

function decorateRequests(app: App): void {
  app.decorateRequest('callerIfAny', undefined)
  app.decorateRequest('idempotencyKey', undefined)
  app.decorateRequest('bodyHash', undefined)
  app.decorateRequest('policy')
  app.decorateRequest('caller', {
    getter(this: FastifyRequest) {
      if (this.callerIfAny === undefined) throw new UnauthenticatedError()
      return this.callerIfAny
    },
  })
}

function prepareRoute(route: RouteOptions, context: HookContext): void {
  const policy = routePolicy(route)
  const hooks = routeHooks(context, policy)
  route.onRequest = [hooks.onRequest, ...[route.onRequest ?? []].flat()]
  route.preValidation = [...hooks.preValidation, ...[route.preValidation ?? []].flat()]
  route.onSend = [...[route.onSend ?? []].flat(), ...hooks.onSend]
  route.onResponse = [hooks.onResponse, ...[route.onResponse ?? []].flat()]
  if (route.schema?.response !== undefined)
    route.schema = { ...route.schema, response: simplifyResponses(route.schema.response) }
  for (const method of policy.methods) {
    context.routes.add({ method, pattern: route.url, schema: route.schema ?? {}, config: route.config ?? {} })
  }
}

/** One parser for every media type: which of them a route takes was decided when its request was admitted. */
function parseBodies(app: App, limits: HttpLimits): void {
  const parseJson = strictJson(app)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (request.policy.bodyTypes.length === 0 || !hasBody(request)) return undefined
    const type = requireBodyType(request, request.policy.bodyTypes)
    const body = { maxBytes: request.routeOptions.bodyLimit, timeoutMs: limits.bodyTimeoutMs }
    const hash = request.idempotencyKey !== undefined
    const parsed = await parseBody(request, type, { body, stream: limits.stream, hash }, parseJson)
    request.bodyHash = parsed.hash
    // Too long to be told apart from another: the key is for bodies up to the limit (contracts, decision 7).
    if (hash && parsed.hash === undefined) request.idempotencyKey = undefined
    return parsed.value
  })
}

/** Fastify's parser: refuses `__proto__` and `constructor.prototype`, so that no later copy can be poisoned. */
function strictJson(app: App): (text: string) => unknown {
  const parse = app.getDefaultJsonParser('error', 'error')
  return (text) => {
    let outcome: { error: Error | null; value: unknown } | undefined
    void parse(undefined as never, text, (error, value) => {
      outcome = { error, value }
    })
    if (outcome?.error) throw outcome.error
    return outcome?.value
  }
}

/**
 * No route has this method and path: a preflight, `OPTIONS`, 405 or 404. None of them needs a credential or a body, so this answers before
 * either is looked at.
 */
function answerUnknownRequests(app: App, context: HookContext): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done()
    arrive(context, request, reply)
    reply.raw.once('close', () => leave(context, request, reply, { pattern: 'unmatched', isQuiet: false }))
    if (isPreflight(request)) return answerPreflight(reply)
    const known = context.routes.at(pathOf(request))
    if (known === undefined) return done(new NotFoundError())
    const { allow, style } = known
    if (request.method === 'OPTIONS') reply.code(204).header('allow', allow).send()
    else sendProblem(new MethodNotAllowedError(request.method, allow), request, reply, style)
  })
}
