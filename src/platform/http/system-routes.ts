import { Type } from 'typebox'

import { ForbiddenError, UnauthenticatedError, UnavailableError } from '../errors.ts'
import { sql } from '../db/sql.ts'
import type { App } from './app.ts'
import { registerDocumentation } from './documentation.ts'
import type { KnownRoutes } from './known-routes.ts'
import { isDirectFromLoopback } from './loopback.ts'
import { htmlPage, PAGE_CSP } from './pages.ts'
import { isOk } from './readiness.ts'
import { problemWith } from './schemas.ts'

const open = { access: 'open', needsDatabase: false } as const
const tags = ['System']
const checksSchema = Type.Record(Type.String(), Type.String(), {
  description: 'Name of the check to `ok` or to what is wrong.',
  examples: [{ database: 'ok' }],
})

/** Health, metrics, landing pages and documentation: what every server of ours has, whatever modules it carries. */
export function registerSystemRoutes(app: App, options: { version: string; routes: KnownRoutes }): void {
  registerHealth(app)
  registerMetrics(app)
  registerLanding(app, options.version)
  registerDocumentation(app, options)
}

function registerHealth(app: App): void {
  app.readinessChecks.add('database', async () => {
    await app.db.row(sql`SELECT 1`)
    return undefined
  })
  const okSchema = Type.Object({ status: Type.Literal('ok') }, { description: 'The process serves.' })
  for (const [path, operationId] of [
    ['/healthz', 'getHealth'],
    ['/health-check/', 'getHealthCheck'],
  ] as const) {
    app.get(
      path,
      {
        config: open,
        schema: { tags, operationId, summary: 'Whether the process serves', response: { 200: okSchema } },
      },
      async () => ({ status: 'ok' as const }),
    )
  }
  const response = {
    200: Type.Object({ status: Type.Literal('ok'), checks: checksSchema }, { description: 'Ready for requests.' }),
    503: problemWith({ checks: checksSchema }, 'Not ready; `checks` names what is wrong.'),
  }
  app.get(
    '/readyz',
    {
      config: open,
      schema: { tags, operationId: 'getReadiness', summary: 'Whether requests can be served', response },
    },
    async () => {
      const { isReady, checks } = await app.readinessChecks.run()
      if (isReady) return { status: 'ok' as const, checks }
      const failing = Object.entries(checks).filter(([, result]) => !isOk(result))
      const detail = `Not ready: ${failing.map(([name, result]) => `${name} (${result})`).join(', ')}.`
      throw new UnavailableError(detail, 1, { extensions: { checks } })
    },
  )
}

function registerMetrics(app: App): void {
  const response = {
    200: { description: 'Prometheus text format.', content: { 'text/plain': { schema: Type.String() } } },
  }
  app.get(
    '/metrics',
    {
      config: { access: 'optional', needsDatabase: false, errors: [401, 403], postman: { skip: true } },
      schema: { tags, operationId: 'getMetrics', summary: 'Metrics, for staff and for the machine itself', response },
    },
    async (request, reply) => {
      if (!isDirectFromLoopback(request)) {
        if (request.callerIfAny === undefined) throw new UnauthenticatedError()
        if (!request.callerIfAny.isStaff) throw new ForbiddenError()
      }
      reply.type(app.metrics.registry.contentType)
      return app.metrics.text()
    },
  )
}

function registerLanding(app: App, version: string): void {
  const html = { 200: { description: 'A page.', content: { 'text/html': { schema: Type.String() } } } }
  app.get(
    '/',
    { config: open, schema: { tags, operationId: 'getLandingPage', summary: 'Page with links', response: html } },
    async (_request, reply) => {
      reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_CSP)
      return htmlPage(version)
    },
  )
  const links = Type.Object({
    name: Type.String(),
    version: Type.String(),
    documentation: Type.String(),
    openapi: Type.String(),
    health: Type.String(),
  })
  app.get(
    '/api/',
    {
      config: open,
      schema: { tags, operationId: 'getApiRoot', summary: 'Where to find what', response: { 200: links } },
    },
    async () => ({
      name: 'souk',
      version,
      documentation: '/api/swagger/',
      openapi: '/api/openapi.json',
      health: '/healthz',
    }),
  )
  const versionSchema = Type.Object({ name: Type.String(), version: Type.String() })
  app.get(
    '/api/version',
    {
      config: open,
      schema: { tags, operationId: 'getVersion', summary: 'Name and version', response: { 200: versionSchema } },
    },
    async () => ({ name: 'souk', version }),
  )
}
