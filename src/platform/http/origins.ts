import type { FastifyRequest } from 'fastify'

import type { Config } from '../config.ts'

/** Which browser origins may act with a session cookie (sources contract, section 1.2). */
export interface Origins {
  /** One of `TRUSTED_ORIGINS`. */
  isTrusted(origin: string): boolean
  /** Trusted, or the address this server is reached at. */
  mayUseCookies(origin: string, request: Addressed): boolean
  /** The address people use, without a final slash: `PUBLIC_URL`, else what the request names. */
  baseUrl(request: Addressed): string
}

/** As Fastify works them out, forwarded headers of trusted proxies included. */
export type Addressed = Pick<FastifyRequest, 'protocol' | 'host'>

export function createOrigins(config: Pick<Config, 'trustedOrigins' | 'publicUrl'>): Origins {
  const trusted = new Set(config.trustedOrigins)
  const publicOrigin = config.publicUrl === undefined ? undefined : new URL(config.publicUrl).origin
  const publicBase = config.publicUrl?.replace(/\/+$/, '')

  return {
    isTrusted: (origin) => trusted.has(origin),
    mayUseCookies: (origin, request) =>
      trusted.has(origin) || origin === publicOrigin || origin === originOf(`${request.protocol}://${request.host}`),
    baseUrl: (request) => publicBase ?? `${request.protocol}://${request.host}`,
  }
}

/** Undefined when the text is no address; default ports are left out, as browsers do. */
export function originOf(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).origin : undefined
}
