import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'

import { InvalidError, NotFoundError } from '../errors.ts'
import { customText, fieldErrors } from './field-messages.ts'
import { NON_FIELD_ERRORS } from './problem.ts'
import { sampleOf } from './sample.ts'
import { textReader } from './text-values.ts'

/** Enough for a form; the bound keeps a hostile body from costing more than its size. */
const MAX_ERRORS = 60
Settings.Set({ maxErrors: MAX_ERRORS })

/** What a form or multipart body is parsed into: text values that the schema turns into numbers and booleans. */
export class FormFields {
  readonly values: Readonly<Record<string, unknown>>
  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values
  }
}

type Outcome = { value: unknown } | { error: Error }

/** Fastify's validator compiler: TypeBox's, without coercion of JSON, with every message of a failing request. */
export function compileValidator(context: {
  schema: unknown
  httpPart?: string | undefined
}): (data: unknown) => Outcome {
  const { schema, httpPart } = context
  const validator = Compile(schema as TSchema)
  const prepare = preparation(schema, httpPart)
  const applyDefaults = defaultsOf(schema)

  return (data) => {
    const value = applyDefaults(prepare(data))
    if (validator.Check(value)) return { value }
    const sample = sampleOf(value)
    const errors = validator.Errors(sample.value).filter((error) => !isUnknownMember(error))
    if (errors.length === 0 && sample.cutAt !== undefined) return { error: invalidItems(sample.cutAt) }
    // Unknown members are ignored, never refused (identity contract, section 1.1).
    if (errors.length === 0) return { value }
    // A path part that cannot be an id names nothing: 404, never 400 (identity contract, section 1.1).
    if (httpPart === 'params') return { error: new NotFoundError(customText(schema, errors[0])) }
    return { error: InvalidError.fields(fieldErrors(schema, sample.value, errors)) }
  }
}

/** TypeBox reports such a member twice: at the object, and as a value where the schema is `false`. */
function isUnknownMember({ keyword, schemaPath }: { keyword: string; schemaPath: string }): boolean {
  return keyword === 'additionalProperties' || (keyword === 'boolean' && schemaPath.endsWith('/additionalProperties'))
}

/** The mistake lies beyond what was looked at. */
function invalidItems(path: string[]): InvalidError {
  return InvalidError.fields({ [path.join('.') || NON_FIELD_ERRORS]: ['Some of the items are not valid.'] })
}

function preparation(schema: unknown, httpPart: string | undefined): (data: unknown) => unknown {
  const readText = textReader(schema)
  if (httpPart === 'querystring' || httpPart === 'params') return (data) => readText(data as Record<string, unknown>)
  return (data) => (data instanceof FormFields ? readText(data.values) : data)
}

type Fill = (value: unknown) => unknown
interface Schema {
  default?: unknown
  properties?: Record<string, Schema>
  items?: Schema
}

const asIs: Fill = (value) => value

/** Fills absent members that have a default, at any depth of objects and lists. */
function defaultsOf(schema: unknown): Fill {
  const { properties, items } = schema as Schema
  if (items !== undefined) {
    const fillItem = defaultsOf(items)
    return fillItem === asIs ? asIs : (value) => (Array.isArray(value) ? value.map((item) => fillItem(item)) : value)
  }
  const members = Object.entries(properties ?? {}).flatMap(([name, member]) => {
    const fill = defaultsOf(member)
    return member.default === undefined && fill === asIs ? [] : [{ name, fill, byDefault: member.default }]
  })
  if (members.length === 0) return asIs
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const object = value as Record<string, unknown>
    for (const { name, fill, byDefault } of members) {
      const given = Object.hasOwn(object, name) ? object[name] : undefined
      if (given !== undefined) object[name] = fill(given)
      else if (byDefault !== undefined) object[name] = structuredClone(byDefault)
    }
    return object
  }
}
