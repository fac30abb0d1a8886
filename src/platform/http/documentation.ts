import { Type } from 'typebox'

import type { App } from './app.ts'
import { documentationFiles, readDocumentationFile } from './documentation-files.ts'
import type { KnownRoutes } from './known-routes.ts'
import { buildOpenApi, type OpenApiDocument } from './openapi.ts'
import { documentationPage } from './pages.ts'
import { buildPostman } from './postman.ts'

/** Swagger UI and ReDoc style their elements in place, and ReDoc searches in a worker it makes itself. Nothing comes from another host. */
const DOCUMENTATION_CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  'worker-src blob:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const PAGES = {
  swagger: documentationPage({
    title: 'Souk API',
    style: '/api/docs/swagger-ui.css',
    scripts: ['/api/docs/swagger-ui-bundle.js', '/api/docs/swagger-start.js'],
  }),
  redoc: documentationPage({
    title: 'Souk API',
    scripts: ['/api/docs/redoc.standalone.js', '/api/docs/redoc-start.js'],
  }),
}

const config = { access: 'open', needsDatabase: false } as const
const tags = ['System']
const htmlResponse = { 200: { description: 'A page.', content: { 'text/html': { schema: Type.String() } } } }
const jsonResponse = {
  200: { description: 'The document.', content: { 'application/json': { schema: Type.Unknown() } } },
}

/** The description of every route, in four forms: OpenAPI, Postman, and two pages. */
export function registerDocumentation(app: App, options: { version: string; routes: KnownRoutes }): void {
  const document = once(() => buildOpenApi(options.routes.all, options.version))
  const openapiText = once(() => JSON.stringify(document()))
  app.decorate('openapi', document)

  app.get(
    '/api/openapi.json',
    { config, schema: { tags, operationId: 'getOpenApi', summary: 'OpenAPI 3.1 description', response: jsonResponse } },
    async (_request, reply) => reply.type('application/json').send(openapiText()),
  )
  app.get(
    '/api/postman.json',
    { config, schema: { tags, operationId: 'getPostman', summary: 'Postman collection', response: jsonResponse } },
    async (request, reply) => {
      const collection = buildPostman(document(), app.origins.baseUrl(request))
      return reply.type('application/json').send(JSON.stringify(collection, undefined, 2))
    },
  )
  registerPage(app, '/api/swagger/', 'getApiSwagger', PAGES.swagger)
  registerPage(app, '/swagger/', 'getSwagger', PAGES.swagger)
  registerPage(app, '/api/redoc/', 'getApiRedoc', PAGES.redoc)
  registerPage(app, '/redoc/', 'getRedoc', PAGES.redoc)
  registerFiles(app)
}

function registerPage(app: App, path: string, operationId: string, page: string): void {
  const summary = 'Documentation page'
  app.get(path, { config, schema: { tags, operationId, summary, response: htmlResponse } }, async (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('content-security-policy', DOCUMENTATION_CSP)
    return reply.send(page)
  })
}

function registerFiles(app: App): void {
  for (const file of documentationFiles) {
    const mediaType = file.type.split(';', 1)[0]!
    const response = {
      200: {
        description: 'A file of the pages.',
        content: { [mediaType]: { schema: Type.Unsafe<Buffer>({ type: 'string' }) } },
      },
      304: Type.Null({ description: 'The copy you have is good.' }),
    }
    const schema = { tags, operationId: file.operationId, summary: 'File of a documentation page', response }
    app.get(
      `/api/docs/${file.name}`,
      { config: { ...config, postman: { skip: true } }, schema },
      async (request, reply) => {
        const { body, etag } = await readDocumentationFile(file)
        reply.header('cache-control', 'public, max-age=3600').header('etag', etag)
        if (request.headers['if-none-match'] === etag) return reply.code(304).send(null)
        return reply.type(file.type).send(body)
      },
    )
  }
}

function once<T>(build: () => T): () => T {
  let built: { value: T } | undefined
  return () => {
    built ??= { value: build() }
    return built.value
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The OpenAPI document of every route registered; complete once the server is ready. */
    openapi(): OpenApiDocument
  }

  interface FastifySchema {
    /** Left out of the OpenAPI document. */
    hide?: boolean
    tags?: readonly string[]
    summary?: string
    description?: string
    operationId?: string
    deprecated?: boolean
  }
}
