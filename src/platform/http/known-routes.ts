import type { FastifySchema, FastifyContextConfig } from 'fastify'

/** A route as registered, kept for 405, `Allow` and the OpenAPI document. */
export interface KnownRoute {
  method: string
  pattern: string
  schema: FastifySchema
  config: FastifyContextConfig
}

export interface KnownRoutes {
  readonly all: readonly KnownRoute[]
  add(route: KnownRoute): void
  /** The methods of a path for an `Allow` header, undefined when no pattern matches it. */
  allowedMethods(path: string): string | undefined
}

/** Looked through only when the router has found nothing, so its speed does not matter. */
export function createKnownRoutes(): KnownRoutes {
  const routes: KnownRoute[] = []
  const expressions = new Map<string, RegExp>()

  return {
    all: routes,
    add: (route) => {
      routes.push(route)
      expressions.set(route.pattern, expressionOf(route.pattern))
    },
    allowedMethods: (path) => {
      const matching = routes.filter(({ pattern }) => expressions.get(pattern)?.test(path))
      if (matching.length === 0) return undefined
      return [...new Set([...matching.map(({ method }) => method), 'OPTIONS'])].toSorted().join(', ')
    },
  }
}

/** `/api/users/:id/` matches one part per parameter, with and without the final slash. */
function expressionOf(pattern: string): RegExp {
  const source = pattern
    .replace(/\/$/, '')
    .replaceAll(/[.*+?^${}()|[\]\\]/g, (character) => (character === '*' ? '.*' : `\\${character}`))
    .replaceAll(/:[A-Za-z_]\w*/g, '[^/]+')
  return new RegExp(`^${source}/?$`)
}
