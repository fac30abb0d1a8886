import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Origins } from './origins.ts'

const EXPOSED = 'Retry-After, Location, Idempotency-Replayed, X-Request-Id'

/** On every answer. An API answer is never a page: nothing in it may run or be framed. Pages and files set their own. */
const COMMON = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
  // Nearly every answer depends on who asks, and some carry credentials.
  'cache-control': 'no-store',
  // The CORS headers depend on it.
  vary: 'Origin',
  'access-control-expose-headers': EXPOSED,
}

/** Two years, in seconds (RFC 6797). */
const HSTS = 'max-age=63072000'

/** Puts the security and CORS headers (sources contract, section 1.2) on an answer before anything can fail. */
export function setCommonHeaders(request: FastifyRequest, reply: FastifyReply, origins: Origins): void {
  reply.headers(COMMON)
  reply.header('x-request-id', request.id)
  if (request.protocol === 'https') reply.header('strict-transport-security', HSTS)
  const { origin } = request.headers
  if (origin !== undefined && origins.isTrusted(origin)) {
    reply.header('access-control-allow-origin', origin)
    reply.header('access-control-allow-credentials', 'true')
  } else {
    reply.header('access-control-allow-origin', '*')
  }
}

/** The same for answers that are written to the socket by hand. */
export const RAW_HEADERS: Readonly<Record<string, string>> = { ...COMMON, 'access-control-allow-origin': '*' }

export function isPreflight(request: FastifyRequest): boolean {
  const { origin, 'access-control-request-method': method } = request.headers
  return request.method === 'OPTIONS' && origin !== undefined && method !== undefined
}

/** Any path: the real request then gets a 404 or 405 that the page can read. */
export function answerPreflight(reply: FastifyReply): void {
  reply
    .code(204)
    .header('access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS')
    .header(
      'access-control-allow-headers',
      'content-type, x-csrftoken, authorization, idempotency-key, x-request-id, last-event-id, accept',
    )
    // Seconds; the longest that browsers accept.
    .header('access-control-max-age', '7200')
    .send()
}
