import type { FastifyContextConfig, RouteOptions } from 'fastify'

import type { Access, BodyType } from './app.ts'

/** What the hooks need to know of a route, worked out once when it is registered. */
export interface RoutePolicy {
  /** The pattern as registered, for logs and metrics. */
  pattern: string
  methods: readonly string[]
  access: Access
  anyScope: boolean
  /** Empty where the body is ignored. */
  bodyTypes: readonly BodyType[]
  /** No body then counts as an empty object, so that the missing fields are named. */
  expectsObject: boolean
  takesIdempotencyKey: boolean
  needsDatabase: boolean
  /** Failing probes and pages are not worth a line at level info. */
  isQuiet: boolean
}

const JSON_ONLY: readonly BodyType[] = ['json']
const UNSAFE = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

export function isUnsafe(method: string): boolean {
  return UNSAFE.has(method)
}

export function routePolicy(route: Pick<RouteOptions, 'method' | 'url' | 'schema' | 'config'>): RoutePolicy {
  const config: FastifyContextConfig = route.config ?? {}
  const methods = [route.method].flat()
  const access = config.access ?? 'signed-in'
  const body = route.schema?.body as { type?: unknown } | undefined
  const bodyTypes = config.bodyTypes ?? (body === undefined ? [] : JSON_ONLY)
  return {
    pattern: route.url,
    methods,
    access,
    anyScope: config.anyScope ?? false,
    bodyTypes,
    expectsObject: body !== undefined && body.type !== 'array',
    takesIdempotencyKey: methods.some(isUnsafe) && access !== 'open' && config.answersSecret !== true,
    needsDatabase: config.needsDatabase ?? true,
    isQuiet: config.needsDatabase === false,
  }
}
