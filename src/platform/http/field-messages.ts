import type { TLocalizedValidationError } from 'typebox/error'

import type { FieldErrors } from '../errors.ts'
import { NON_FIELD_ERRORS } from './problem.ts'

type ValidationError = TLocalizedValidationError
type Json = Record<string, unknown>

/** A person mends a handful at a time; more would only make a hostile body expensive. */
const MAX_FIELDS = 50

/** Validation errors as field name to messages, in the words that clients of such APIs know. */
export function fieldErrors(schema: unknown, value: unknown, errors: readonly ValidationError[]): FieldErrors {
  const result: FieldErrors = Object.create(null) as FieldErrors
  for (const error of withoutAlternatives(errors)) {
    if (Object.keys(result).length >= MAX_FIELDS) break
    for (const [field, text] of messagesOf(schema, value, error)) addMessage(result, field, text)
  }
  return { ...result }
}

function addMessage(result: FieldErrors, field: string, text: string): void {
  const texts = (result[field] ??= [])
  if (!texts.includes(text)) texts.push(text)
}

/**
 * A failed union reports every branch. Of `X or null` only the errors of X help; of several literals one sentence does; of anything
 * else the union itself is named.
 */
function withoutAlternatives(errors: readonly ValidationError[]): ValidationError[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf')
  return unions.reduce<ValidationError[]>((left, union) => collapseUnion(left, union), [...errors])
}

function collapseUnion(errors: ValidationError[], union: ValidationError): ValidationError[] {
  const branchPath = `${union.schemaPath}/${union.keyword}/`
  const branches = errors.filter(
    ({ schemaPath, instancePath }) => schemaPath.startsWith(branchPath) && isWithin(instancePath, union),
  )
  const others = errors.filter((error) => !branches.includes(error))
  const telling = branches.filter((error) => !isNullBranch(error))
  const alternatives = new Set(telling.map(({ schemaPath }) => schemaPath.slice(branchPath.length).split('/')[0]))
  if (alternatives.size !== 1 || telling.every(({ keyword }) => keyword === 'const')) return others
  return [...others.filter((error) => error !== union), ...telling]
}

function isWithin(instancePath: string, union: ValidationError): boolean {
  return instancePath === union.instancePath || instancePath.startsWith(`${union.instancePath}/`)
}

function isNullBranch(error: ValidationError): boolean {
  return error.keyword === 'type' && error.params.type === 'null'
}

function messagesOf(schema: unknown, value: unknown, error: ValidationError): [field: string, text: string][] {
  const path = pointerParts(error.instancePath)
  if (error.keyword === 'required') {
    const texts = customTexts(schema, error.schemaPath)
    return error.params.requiredProperties.map((name) => [
      [...path, name].join('.'),
      propertyText(schema, error.schemaPath, name) ?? texts.required ?? 'This field is required.',
    ])
  }
  const found = valueAt(value, path)
  const text = customTexts(schema, error.schemaPath)[error.keyword] ?? messageOf(error, found)
  return [[path.length === 0 ? NON_FIELD_ERRORS : path.join('.'), path.length === 0 ? rootText(error, text) : text]]
}

function rootText(error: ValidationError, text: string): string {
  return error.keyword === 'type' ? `Invalid data. ${text}` : text
}

/** The text that the schema itself gives for this error, if any. */
export function customText(schema: unknown, error: ValidationError | undefined): string | undefined {
  return error === undefined ? undefined : customTexts(schema, error.schemaPath)[error.keyword]
}

/** Texts a contract demands stand beside the rule: `Type.String({ minLength: 4, 'x-messages': { minLength: '...' } })`. */
function customTexts(schema: unknown, schemaPath: string): Record<string, string> {
  const node = valueAt(schema, pointerParts(schemaPath.replace(/^#/, '')))
  return ((node as Json | undefined)?.['x-messages'] as Record<string, string> | undefined) ?? {}
}

function propertyText(schema: unknown, schemaPath: string, name: string): string | undefined {
  return customTexts(schema, `${schemaPath}/properties/${name}`).required
}

const TYPE_TEXTS: Record<string, string> = {
  string: 'Not a valid string.',
  integer: 'A valid integer is required.',
  number: 'A valid number is required.',
  boolean: 'Must be a valid boolean.',
  array: 'Expected a list of items.',
  object: 'Expected an object.',
}

const FORMAT_TEXTS: Record<string, string> = {
  email: 'Enter a valid email address.',
  uuid: 'Must be a valid UUID.',
  uri: 'Enter a valid URL.',
  url: 'Enter a valid URL.',
  date: 'Date has wrong format. Use one of these formats instead: YYYY-MM-DD.',
  'date-time': 'Datetime has wrong format. Use an ISO 8601 date and time.',
}

function messageOf(error: ValidationError, value: unknown): string {
  switch (error.keyword) {
    case 'type':
      return value === null
        ? 'This field may not be null.'
        : (TYPE_TEXTS[typeName(error.params.type)] ?? 'Not a valid value.')
    case 'minLength':
      if (value === '') return 'This field may not be blank.'
      return `Ensure this field has at least ${error.params.limit} characters.`
    case 'maxLength':
      return `Ensure this field has no more than ${error.params.limit} characters.`
    case 'minimum':
      return `Ensure this value is greater than or equal to ${error.params.limit}.`
    case 'maximum':
      return `Ensure this value is less than or equal to ${error.params.limit}.`
    case 'exclusiveMinimum':
      return `Ensure this value is greater than ${error.params.limit}.`
    case 'exclusiveMaximum':
      return `Ensure this value is less than ${error.params.limit}.`
    case 'minItems':
      return error.params.limit === 1
        ? 'This list may not be empty.'
        : `Ensure this field has at least ${error.params.limit} elements.`
    case 'maxItems':
      return `Ensure this field has no more than ${error.params.limit} elements.`
    case 'format':
      return FORMAT_TEXTS[error.params.format] ?? 'Enter a valid value.'
    case 'enum':
    case 'const':
    case 'anyOf':
    case 'oneOf':
      return choiceText(value)
    case 'uniqueItems':
      return 'The items must differ from each other.'
    case '~refine':
      return error.params.message
    default:
      return value === '' ? 'This field may not be blank.' : 'Enter a valid value.'
  }
}

function typeName(type: string | string[]): string {
  return typeof type === 'string' ? type : (type.find((name) => name !== 'null') ?? 'null')
}

/** The value is repeated only where it is short and plain, so that no answer grows with the request. */
function choiceText(value: unknown): string {
  if (value === null) return 'This field may not be null.'
  const isPlain =
    (typeof value === 'string' && value.length <= 100) || typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? `"${String(value)}" is not a valid choice.` : 'Not a valid choice.'
}

/** RFC 6901, section 4. */
function pointerParts(pointer: string): string[] {
  if (pointer === '') return []
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, name) => (isRecord(node) && Object.hasOwn(node, name) ? node[name] : undefined),
    value,
  )
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null
}
