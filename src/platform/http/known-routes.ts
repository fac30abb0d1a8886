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
  /** The methods of a path for an `Allow` header, and how its errors look; undefined when no pattern matches it. */
  at(path: string): { allow: string; style: ProblemStyle } | undefined
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
    at: (path) => {
      const [first, ...others] = routes.filter(({ pattern }) => expressions.get(pattern)?.test(path))
      if (first === undefined) return undefined
      const methods = new Set([first, ...others].map(({ method }) => method)).add('OPTIONS')
      return { allow: [...methods].toSorted().join(', '), style: first.config }
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
