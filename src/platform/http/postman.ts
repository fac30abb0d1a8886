import { exampleOf } from './openapi-examples.ts'
import type { OpenApiDocument, Operation } from './openapi.ts'
import type { PostmanHints } from './postman-hints.ts'

type Json = Record<string, unknown>

interface Listed {
  path: string
  method: string
  operation: Operation
  hints: PostmanHints
}

const DEFAULT_ORDER = 500

/** Run before the first request: a user name that no earlier run has taken. */
const PREPARE = [
  "if (!pm.collectionVariables.get('username')) {",
  '  const id = Date.now().toString(36) + Math.random().toString(36).slice(2, 8)',
  "  pm.collectionVariables.set('username', 'user-' + id)",
  "  pm.collectionVariables.set('email', 'user-' + id + '@example.com')",
  "  pm.collectionVariables.set('password', 'secret-' + id)",
  '}',
]

/**
 * A Postman collection (format 2.1) whose requests run in order against a fresh server: what the schemas do not say (order, values that
 * an earlier answer gives, the status to expect) comes from `x-postman` of each operation.
 */
export function buildPostman(document: OpenApiDocument, baseUrl = 'http://localhost:8000'): Json {
  const listed = operationsOf(document).filter(({ hints }) => hints.skip !== true)
  const names = new Set(listed.flatMap(({ hints }) => Object.keys(hints.save ?? {})))
  const variables = ['username', 'email', 'password', 'token', 'clientId', 'clientSecret', ...names]
  return {
    info: {
      name: String(document.info.title),
      description: String(document.info.description),
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    variable: [{ key: 'baseUrl', value: baseUrl }, ...[...new Set(variables)].map((key) => ({ key, value: '' }))],
    auth: tokenOf('token'),
    event: [script('prerequest', PREPARE)],
    item: listed.map(requestItem),
  }
}

/** Operations with the same order keep the order of the document: reads before writes, deletions last. */
function operationsOf(document: OpenApiDocument): Listed[] {
  const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      operation,
      hints: operation['x-postman'] ?? {},
    })),
  )
  return listed.toSorted((a, b) => rank(a) - rank(b))
}

function rank({ method, hints }: Listed): number {
  const byMethod = { GET: 0, POST: 0.1, PUT: 0.2, PATCH: 0.3, DELETE: 0.4 }[method] ?? 0.5
  return (hints.order ?? DEFAULT_ORDER) + byMethod
}

function requestItem(listed: Listed): Json {
  const { method, operation, hints } = listed
  const isAnonymous = hints.anonymous === true || operation.security.length === 0
  return {
    name: operation.summary ?? operation.operationId,
    event: [script('test', testLines(listed))],
    request: {
      method,
      ...(operation.description === undefined ? {} : { description: operation.description }),
      ...(isAnonymous ? { auth: { type: 'noauth' } } : {}),
      ...(hints.credential === undefined ? {} : { auth: tokenOf(hints.credential) }),
      url: urlOf(listed),
      ...bodyOf(listed),
    },
  }
}

function urlOf({ path, operation, hints }: Listed): Json {
  const filled = path.replaceAll(
    /\{(\w+)\}/g,
    (_match, name: string) => hints.path?.[name] ?? pathExample(operation, name),
  )
  const query = Object.entries(hints.query ?? {})
  const text = query.map(([name, value]) => `${name}=${value}`).join('&')
  return {
    raw: `{{baseUrl}}${filled}${text === '' ? '' : `?${text}`}`,
    host: ['{{baseUrl}}'],
    path: filled.split('/').slice(1),
    ...(query.length === 0 ? {} : { query: query.map(([key, value]) => ({ key, value })) }),
  }
}

function pathExample(operation: Operation, name: string): string {
  const parameter = operation.parameters.find((candidate) => candidate.in === 'path' && candidate.name === name)
  return encodeURIComponent(String(exampleOf(parameter?.schema)))
}

function bodyOf({ operation, hints }: Listed): Json {
  if (hints.raw !== undefined) return rawBody(hints.raw.contentType, hints.raw.text)
  const content = operation.requestBody?.content ?? {}
  const type = 'application/json' in content ? 'application/json' : Object.keys(content)[0]
  if (type === undefined) return {}
  const value = hints.body ?? content[type]?.example ?? exampleOf(content[type]?.schema)
  if (type === 'application/json') return rawBody(type, JSON.stringify(value, undefined, 2))
  if (typeof value !== 'object' || value === null) return rawBody(type, String(value))
  const fields = Object.entries(value).map(([key, field]) => ({ key, value: String(field), type: 'text' }))
  const mode = type === 'multipart/form-data' ? 'formdata' : 'urlencoded'
  return { body: { mode, [mode]: fields } }
}

function rawBody(contentType: string, text: string): Json {
  return { header: [{ key: 'Content-Type', value: contentType }], body: { mode: 'raw', raw: text } }
}

function testLines(listed: Listed): string[] {
  const { hints } = listed
  const expected = [hints.expect ?? usualStatus(listed)].flat().join(', ')
  const saves = Object.entries(hints.save ?? {}).map(
    ([name, member]) =>
      `if (pm.response.code < 400) pm.collectionVariables.set('${name}', ${memberOf('pm.response.json()', member)})`,
  )
  return [`pm.test('answers ${expected}', () => pm.expect([${expected}]).to.include(pm.response.code))`, ...saves]
}

/** The first success; 404 where a path parameter has no value from an earlier answer: its example names nothing on a fresh server. */
function usualStatus({ path, operation, hints }: Listed): number {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  if (names.some((name) => hints.path?.[name] === undefined)) return 404
  const successes = Object.keys(operation.responses)
    .map(Number)
    .filter((status) => status < 400)
  return successes.length === 0 ? 200 : Math.min(...successes)
}

/** `results.0.id` becomes `[...]["results"]["0"]["id"]`. */
function memberOf(source: string, path: string): string {
  return path.split('.').reduce((text, name) => `${text}[${JSON.stringify(name)}]`, source)
}

function script(listen: string, exec: string[]): Json {
  return { listen, script: { type: 'text/javascript', exec } }
}

function tokenOf(variable: string): Json {
  const parts = { key: 'Authorization', value: `Token {{${variable}}}`, in: 'header' }
  return { type: 'apikey', apikey: Object.entries(parts).map(([key, value]) => ({ key, value, type: 'string' })) }
}
