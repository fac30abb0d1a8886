import { randomBytes } from 'node:crypto'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { SESSION_COOKIE } from './credentials.ts'
import { SESSION_TTL_SECONDS } from './issue.ts'

const CSRF_COOKIE = 'csrftoken'

/** Sets the session cookie and the CSRF cookie beside it, which the client's script reads (sources contract, section 1.2). */
export function setSessionCookies(request: FastifyRequest, reply: FastifyReply, session: string): void {
  const common = `Path=/; Max-Age=${SESSION_TTL_SECONDS}; SameSite=Lax${secureOn(request)}`
  const csrf = randomBytes(24).toString('base64url')
  void reply.header('set-cookie', [
    `${SESSION_COOKIE}=${session}; ${common}; HttpOnly`,
    `${CSRF_COOKIE}=${csrf}; ${common}`,
  ])
}

/** Makes the browser forget both cookies. */
export function clearSessionCookies(request: FastifyRequest, reply: FastifyReply): void {
  const common = `Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax${secureOn(request)}`
  void reply.header('set-cookie', [`${SESSION_COOKIE}=; ${common}; HttpOnly`, `${CSRF_COOKIE}=; ${common}`])
}

/** Only behind https: a browser would drop a Secure cookie that came over plain http. */
function secureOn(request: FastifyRequest): string {
  const { publicUrl } = request.server.config
  return request.protocol === 'https' || publicUrl?.startsWith('https:') ? '; Secure' : ''
}
