import { expect, it } from 'vitest'

import { createKnownRoutes } from './known-routes.ts'

const routes = createKnownRoutes()
routes.add({ method: 'GET', pattern: '/', schema: {}, config: {} })
routes.add({ method: 'GET', pattern: '/api/users/me/', schema: {}, config: {} })
routes.add({ method: 'DELETE', pattern: '/api/users/:id/', schema: {}, config: {} })
routes.add({ method: 'GET', pattern: '/feed.xml', schema: {}, config: {} })
routes.add({ method: 'GET', pattern: '/admin/*', schema: {}, config: {} })

it.each([
  ['/', 'GET, OPTIONS'],
  ['/api/users/42', 'DELETE, OPTIONS'],
  ['/api/users/42/', 'DELETE, OPTIONS'],
  ['/api/users/me/', 'GET, OPTIONS'],
  ['/feed.xml', 'GET, OPTIONS'],
  ['/admin/assets/a.js', 'GET, OPTIONS'],
  ['/feedxxml', undefined],
  ['/api/users/42/more', undefined],
  ['/api/users//', undefined],
  ['/api/users/42//', undefined],
])('allows on %s: %s', (path, allowed) => {
  expect(routes.at(path)?.allow).toBe(allowed)
})

it.each([
  ['/api/users/me', true],
  ['/api/users/me/', true],
  ['/', true],
  ['/api/users/42/', false],
  ['/admin/assets/a.js', false],
])('knows whether %s is written out by a route: %s', (path, isLiteral) => {
  expect(routes.isLiteral(path)).toBe(isLiteral)
})
