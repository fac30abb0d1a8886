import type { BodyType } from './app.ts'
import type { KnownRoute } from './known-routes.ts'
import { componentSchemas, securityFor, securitySchemes } from './openapi-components.ts'
import { exampleOf } from './openapi-examples.ts'
import { cleanSchema, responsesOf } from './openapi-responses.ts'
import type { PostmanHints } from './postman-hints.ts'
import { isUnsafe, routePolicy, type RoutePolicy } from './route-policy.ts'

type Json = Record<string, unknown>

export interface Operation {
  operationId: string
  tags: string[]
  summary?: string
  description?: string
  deprecated?: boolean
  security: Record<string, string[]>[]
  parameters: Json[]
  requestBody?: { required: boolean; content: Record<string, { schema: unknown; example?: unknown }> }
  responses: Record<string, Json>
  'x-postman'?: PostmanHints
}

export interface OpenApiDocument {
  openapi: string
  info: Json
  servers: { url: string }[]
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: Json
}

const MEDIA_TYPES: Record<string, string> = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
  multipart: 'multipart/form-data',
}

/** The OpenAPI 3.1 description of the routes. Their schemas are JSON Schema 2020-12 already, so they go in as they are. */
export function buildOpenApi(routes: readonly KnownRoute[], version: string): OpenApiDocument {
  const paths: OpenApiDocument['paths'] = {}
  const usedIds = new Set<string>()
  for (const route of routes) {
    if (route.method === 'HEAD' || route.schema.hide === true || route.pattern.includes('*')) continue
    const path = route.pattern.replaceAll(/:([A-Za-z_]\w*)/g, '{$1}')
    const operation = operationOf(route, uniqueId(route, usedIds))
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation }
  }
  const names = Object.values(paths).flatMap((methods) => Object.values(methods).flatMap(({ tags }) => tags))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Souk',
      version,
      description:
        'Every path is served with and without its final slash. Errors are `application/problem+json` (RFC 9457).',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(names)].map((name) => ({ name })),
    paths,
    components: { schemas: cleanSchema(componentSchemas), securitySchemes },
  }
}

function operationOf(route: KnownRoute, operationId: string): Operation {
  const { schema, config, method } = route
  const policy = routePolicy({ method, url: route.pattern, schema, config })
  const requestBody = requestBodyOf(route, policy)
  return {
    operationId,
    tags: [...(schema.tags ?? ['Other'])],
    ...(schema.summary === undefined ? {} : { summary: schema.summary }),
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(schema.deprecated === undefined ? {} : { deprecated: schema.deprecated }),
    security: securityOf(method, policy),
    parameters: parametersOf(route, policy),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: responsesOf(route, policy),
    ...(config.postman === undefined ? {} : { 'x-postman': config.postman }),
  }
}

function securityOf(method: string, { access }: RoutePolicy): Record<string, string[]>[] {
  if (access === 'open') return []
  const any = securityFor(isUnsafe(method) ? 'write' : 'read')
  return access === 'optional' ? [{}, ...any] : any
}

interface ObjectSchema {
  properties?: Record<string, Json>
  required?: string[]
}

function parametersOf(route: KnownRoute, policy: RoutePolicy): Json[] {
  const params = (route.schema.params ?? {}) as ObjectSchema
  const query = optionalDefaults(route.schema.querystring ?? {}) as ObjectSchema
  const inPath = [...route.pattern.matchAll(/:([A-Za-z_]\w*)/g)].map(([, name = '']) =>
    parameter('path', name, params.properties?.[name] ?? { type: 'string' }, true),
  )
  const inQuery = Object.entries(query.properties ?? {}).map(([name, schema]) =>
    parameter('query', name, schema, query.required?.includes(name) ?? false),
  )
  return [...inPath, ...inQuery, ...(policy.takesIdempotencyKey && isUnsafe(route.method) ? [IDEMPOTENCY_KEY] : [])]
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key and request within 24 hours answers the stored response; for bodies up to 1 MiB.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
}

function parameter(place: string, name: string, schema: Json, required: boolean): Json {
  const { description, ...rest } = schema
  return { name, in: place, required, ...(description === undefined ? {} : { description }), schema: cleanSchema(rest) }
}

function requestBodyOf({ schema, config }: KnownRoute, { bodyTypes }: RoutePolicy): Operation['requestBody'] {
  if (bodyTypes.length === 0) return undefined
  const body = optionalDefaults(cleanSchema(schema.body ?? { type: 'object' })) as ObjectSchema
  const streamed = cleanSchema(config.streamSchema ?? { type: 'string', format: 'binary' })
  const contentOf = (type: BodyType): [string, { schema: unknown; example?: unknown }] =>
    type.includes('/')
      ? [type, { schema: streamed }]
      : [MEDIA_TYPES[type] ?? type, { schema: body, example: exampleOf(body) }]
  return {
    required: schema.body === undefined ? config.streamSchema !== undefined : (body.required ?? []).length > 0,
    content: Object.fromEntries(bodyTypes.map(contentOf)),
  }
}

/** What has a default need not be sent, although our own code always finds it. */
function optionalDefaults(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(optionalDefaults)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, optionalDefaults(value)]))
  const { properties, required } = copy as ObjectSchema
  if (properties === undefined || !Array.isArray(required)) return copy
  return { ...copy, required: required.filter((name) => properties[name]?.default === undefined) }
}

/** Given ids come first to whoever registers first; the other methods of the same route get theirs with the method in front. */
function uniqueId({ method, pattern, schema }: KnownRoute, used: Set<string>): string {
  const verb = method.toLowerCase()
  const words = pattern.split(/[^A-Za-z0-9]+/).filter((word) => word !== '')
  const derived = verb + words.map(capital).join('')
  const given = schema.operationId
  const candidates = given === undefined ? [derived] : [given, verb + capital(given), derived]
  const id = candidates.find((candidate) => !used.has(candidate))
  if (id === undefined) throw new Error(`operationId ${derived} is used twice`)
  used.add(id)
  return id
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
