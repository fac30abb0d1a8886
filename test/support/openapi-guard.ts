import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

type Json = Record<string, unknown>

export interface SeenResponse {
  method: string
  /** Path with or without query. */
  url: string
  status: number
  headers: Readonly<Record<string, unknown>>
  body: string
}

/** Throws when an answer is not what the published OpenAPI document says: an unknown path, status, media type or member. */
export type OpenApiGuard = (response: SeenResponse) => void

interface Document {
  paths: Record<string, Record<string, Json>>
  components: { schemas: Record<string, unknown> }
}

const DOCUMENT_ID = 'https://souk.invalid/openapi'
const PROBLEM = { $ref: `${DOCUMENT_ID}#/components/schemas/Problem` }
/** What the server answers before it knows the operation; no operation lists them. */
const BEFORE_ROUTING = new Set([404, 405, 414, 431])

/** Compiles schemas on first use and keeps them, so that a whole suite can pass through. */
export function createOpenApiGuard(document: object): OpenApiGuard {
  const closed = closeObjects(document) as Document
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
  ajv.addSchema({ $id: DOCUMENT_ID, ...closed })
  const validators = new Map<unknown, ValidateFunction>()
  const findPath = pathFinder(Object.keys(closed.paths))

  function validate(schema: unknown, value: unknown, where: string): void {
    const known = validators.get(schema) ?? ajv.compile(absoluteRefs(schema) as object)
    validators.set(schema, known)
    if (known(value)) return
    throw new Error(
      `${where}: the body is not as documented: ${ajv.errorsText(known.errors)}\n${JSON.stringify(value)?.slice(0, 2_000)}`,
    )
  }

  return (response) => {
    const { method, status } = response
    const path = response.url.split('?', 1)[0]!
    const where = `${method} ${path} ${status}`
    if (status === 500) throw new Error(`${where}: no input may produce a 500: ${response.body}`)
    if (method === 'OPTIONS' && (status === 204 || status === 404)) return
    const template = findPath(path)
    const operation = template === undefined ? undefined : closed.paths[template]?.[documentedMethod(method)]
    if (operation === undefined) {
      if (!BEFORE_ROUTING.has(status) && !isBadUrl(response)) throw new Error(`${where}: not a documented operation`)
      if (method !== 'HEAD') validate(PROBLEM, parse(response.body, where), where)
      return
    }
    const documented = (operation.responses as Record<string, Json>)[String(status)]
    if (documented === undefined && BEFORE_ROUTING.has(status))
      return validate(PROBLEM, parse(response.body, where), where)
    if (documented === undefined)
      throw new Error(`${where}: this status is not documented: ${response.body.slice(0, 500)}`)
    checkBody(response, documented, where, validate)
  }
}

function checkBody(
  { method, headers, body }: SeenResponse,
  documented: Json,
  where: string,
  validate: (schema: unknown, value: unknown, where: string) => void,
): void {
  if (method === 'HEAD') return
  const content = documented.content as Record<string, { schema?: unknown }> | undefined
  if (content === undefined) {
    if (body !== '') throw new Error(`${where}: documented without a body, but has one: ${body.slice(0, 500)}`)
    return
  }
  const given = headers['content-type']
  const type = typeof given === 'string' ? given.split(';', 1)[0]! : 'none'
  const media = content[type]
  if (media === undefined)
    throw new Error(`${where}: media type ${type} is not documented, but ${Object.keys(content).join(', ')}`)
  if (media.schema !== undefined && /[/+]json$/.test(type)) validate(media.schema, parse(body, where), where)
}

function documentedMethod(method: string): string {
  return method === 'HEAD' ? 'get' : method.toLowerCase()
}

/** A path whose percent-encoding is broken matches no pattern. */
function isBadUrl({ status, body }: SeenResponse): boolean {
  return status === 400 && body.includes('not a valid URL path')
}

function parse(body: string, where: string): unknown {
  try {
    return JSON.parse(body) as unknown
  } catch {
    throw new Error(`${where}: the body is not JSON: ${body.slice(0, 500)}`)
  }
}

/** Fixed parts win over parameters, as in the router. */
function pathFinder(templates: readonly string[]): (path: string) => string | undefined {
  const patterns = templates
    .toSorted((a, b) => a.split('{').length - b.split('{').length)
    .map((template) => ({
      template,
      expression: new RegExp(
        `^${template
          .replace(/\/$/, '')
          .replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`)
          .replaceAll(/\{\w+\}/g, '[^/]+')}/?$`,
      ),
    }))
  return (path) => patterns.find(({ expression }) => expression.test(path))?.template
}

/** An object schema that lists its members allows no others, so that an undocumented field fails. */
function closeObjects(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closeObjects)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(
    Object.entries(node).map(([name, value]) => [name, name === 'allOf' ? value : closeObjects(value)]),
  )
  const isOpen = copy.additionalProperties === undefined && copy.unevaluatedProperties === undefined
  if ((isObjectSchema(copy) || Array.isArray(copy.allOf)) && isOpen) copy.unevaluatedProperties = false
  return copy
}

function isObjectSchema({ type, properties }: Json): boolean {
  const types = [type].flat()
  return (
    types.includes('object') &&
    typeof properties === 'object' &&
    properties !== null &&
    Object.keys(properties).length > 0
  )
}

function absoluteRefs(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(absoluteRefs)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([name, value]) => [
      name,
      name === '$ref' && typeof value === 'string' && value.startsWith('#') ? DOCUMENT_ID + value : absoluteRefs(value),
    ]),
  )
}
