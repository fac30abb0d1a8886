import type { FastifySchema, FastifyContextConfig } from 'fastify'

import type { ProblemStyle } from './problem.ts'

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
  /**
   * The methods of a path for an `Allow` header, and how its errors look; undefined when no pattern matches it. A path that is written out by
   * one route is no example of another: `feed.xml` is not the id of a product. Slow: for what the router has not found.
   */
  at(path: string): { allow: string; style: ProblemStyle } | undefined
  /** Whether a route writes out this very path, without parameters. */
  isLiteral(path: string): boolean
}

export function createKnownRoutes(): KnownRoutes {
  const routes: KnownRoute[] = []
  const expressions = new Map<string, RegExp>()
  const literals = new Set<string>()

  return {
    all: routes,
    add: (route) => {
      routes.push(route)
      expressions.set(route.pattern, expressionOf(route.pattern))
      if (!hasParameters(route.pattern)) literals.add(withoutSlash(route.pattern))
    },
    isLiteral: (path) => literals.has(withoutSlash(path)),
    at: (path) => {
      const matching = routes.filter(({ pattern }) => expressions.get(pattern)?.test(path))
      const literal = matching.filter(({ pattern }) => !hasParameters(pattern))
      const [first, ...others] = literal.length > 0 ? literal : matching
      if (first === undefined) return undefined
      const methods = new Set([first, ...others].map(({ method }) => method)).add('OPTIONS')
      return { allow: [...methods].toSorted().join(', '), style: first.config }
    },
  }
}

export function hasParameters(pattern: string): boolean {
  return /[:*]/.test(pattern)
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** `/api/users/:id/` matches one part per parameter, with and without the final slash. */
function expressionOf(pattern: string): RegExp {
  const source = withoutSlash(pattern)
    .replaceAll(/[.*+?^${}()|[\]\\]/g, (character) => (character === '*' ? '.*' : `\\${character}`))
    .replaceAll(/:[A-Za-z_]\w*/g, '[^/]+')
  return new RegExp(`^${source}/?$`)
}
