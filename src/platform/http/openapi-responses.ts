import { STATUS_CODES } from 'node:http'

import type { KnownRoute } from './known-routes.ts'
import { isUnsafe, type RoutePolicy } from './route-policy.ts'

type Json = Record<string, unknown>

const PROBLEM = 'application/problem+json'
const RETRY_AFTER = {
  'Retry-After': { description: 'Whole seconds, at least 1.', schema: { type: 'integer', minimum: 1 } },
}

/** The declared answers of a route and the standard errors it can give. */
export function responsesOf(route: KnownRoute, policy: RoutePolicy): Record<string, Json> {
  const declared = Object.entries((route.schema.response ?? {}) as Record<string, Json>)
  const responses: Record<string, Json> = {}
  for (const status of errorStatuses(route, policy)) responses[status] = standardError(status, route)
  for (const [status, schema] of declared) responses[status] = declaredResponse(status, schema, route)
  return responses
}

/**
 * What the server itself or a usual rule answers. A changing operation can meet every refusal of the contracts; a reading one misses what
 * depends on a body or on the state.
 */
function errorStatuses(
  { method, config }: KnownRoute,
  { access, bodyTypes, takesIdempotencyKey, needsDatabase }: RoutePolicy,
): number[] {
  const statuses = new Set<number>(config.errors ?? [])
  const add = (...more: number[]): void => more.forEach((status) => statuses.add(status))
  if (needsDatabase) add(400, 404, 429, 500, 503)
  if (access !== 'open') add(401, 403)
  if (isUnsafe(method)) add(401, 403, 409)
  if (bodyTypes.length > 0) add(400, 408, 413, 415)
  if (takesIdempotencyKey) add(422)
  if (config.invalidStatus !== undefined) add(config.invalidStatus)
  return [...statuses]
}

function standardError(status: number, route: KnownRoute): Json {
  const schema = { $ref: `#/components/schemas/${errorSchema(route)}` }
  return {
    description: STATUS_CODES[status] ?? 'Error',
    ...(status === 429 || status === 503 ? { headers: RETRY_AFTER } : {}),
    content: { [errorType(route)]: { schema } },
  }
}

function errorSchema({ config }: KnownRoute): string {
  if (config.errorFormat === 'oauth') return 'OAuthError'
  return config.flatFieldErrors === true ? 'FlatProblem' : 'Problem'
}

function errorType({ config }: KnownRoute): string {
  return config.errorFormat === 'oauth' ? 'application/json' : PROBLEM
}

/** `Type.Null` means no body; `{ content }` names media types itself; anything else is the JSON body. */
function declaredResponse(status: string, schema: Json, route: KnownRoute): Json {
  const description = (schema.description as string | undefined) ?? STATUS_CODES[Number(status)] ?? 'Answer'
  if (schema.content !== undefined) return { description, content: cleanSchema(schema.content) }
  if (schema.type === 'null') return { description }
  const type = Number(status) >= 400 ? errorType(route) : 'application/json'
  return { description, content: { [type]: { schema: cleanSchema(schema) } } }
}

/** The schema without what only our own code reads. */
export function cleanSchema(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(cleanSchema)
  if (typeof node !== 'object' || node === null) return node
  const members = Object.entries(node).filter(([name]) => name !== 'x-messages')
  return Object.fromEntries(members.map(([name, value]) => [name, cleanSchema(value)]))
}
