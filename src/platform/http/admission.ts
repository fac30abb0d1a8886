import type { FastifyRequest } from 'fastify'

import { ForbiddenError, UnauthenticatedError } from '../errors.ts'
import type { Caller } from './caller.ts'
import { originOf, type Origins } from './origins.ts'
import { isUnsafe, type RoutePolicy } from './route-policy.ts'

/** Whether this caller may use this route at all; throws the 401 or 403 that says why not. */
export function requireAdmission(
  request: FastifyRequest,
  caller: Caller | undefined,
  { access, anyScope }: Pick<RoutePolicy, 'access' | 'anyScope'>,
  origins: Origins,
): void {
  if (caller === undefined) {
    if (access !== 'optional') throw new UnauthenticatedError()
    return
  }
  const scope = request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write'
  if (!anyScope && !caller.scopes.includes(scope))
    throw new ForbiddenError(`This credential lacks the scope "${scope}".`)
  if (access === 'staff' && !caller.isStaff) throw new ForbiddenError()
  if (caller.via === 'session' && isUnsafe(request.method)) requireOwnPage(request, origins)
}

/**
 * Refuses a changing request that a foreign page made the browser send with the session cookie (sources contract, section 1.2, rule 4).
 * Without `Origin` and `Referer` it does not come from a browser's form and passes.
 */
function requireOwnPage(request: FastifyRequest, origins: Origins): void {
  const { origin, referer } = request.headers
  if (origin === undefined && referer === undefined) return
  const shown = origin ?? originOf(referer ?? '')
  if (shown !== undefined && origins.mayUseCookies(shown, request)) return
  const token = request.headers['x-csrftoken']
  const cookie = cookieValue(request.headers.cookie ?? '', 'csrftoken')
  if (typeof token === 'string' && token !== '' && token === cookie) return
  throw new ForbiddenError('CSRF failed: the origin is not trusted.', { code: 'csrf_failed' })
}

/** RFC 6265, section 5.4: pairs of `name=value`, separated by `; `; the first of a name counts. */
function cookieValue(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const end = pair.indexOf('=')
    if (end !== -1 && pair.slice(0, end).trim() === name) return pair.slice(end + 1).trim()
  }
  return undefined
}
