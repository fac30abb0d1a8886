import type { FastifyRequest } from 'fastify'

/** What proxies add. One on the same machine makes every visitor look local. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Whether a program on this machine asks by itself. The host name is looked at too: a page that had its own name resolved to 127.0.0.1
 * (DNS rebinding) sends that name.
 */
export function isDirectFromLoopback(request: Pick<FastifyRequest, 'socket' | 'headers' | 'hostname'>): boolean {
  const address = request.socket.remoteAddress ?? ''
  const isLocal = address === '::1' || /^(::ffff:)?127\./.test(address)
  return (
    isLocal && LOCAL_NAMES.has(request.hostname) && PROXY_HEADERS.every((name) => request.headers[name] === undefined)
  )
}
