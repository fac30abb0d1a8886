import { InvalidError, type FieldErrors } from '../errors.ts'
import { NON_FIELD_ERRORS, notTheExpectedKind } from './problem.ts'

/** Deeper JSON than any of ours; past it, recursion in later code could exhaust the stack. */
const MAX_DEPTH = 64

/** NUL, which PostgreSQL text cannot hold, and surrogates without their other half, which UTF-8 cannot. */
const UNSTORABLE = /[\0\p{Surrogate}]/u
const NUL_TEXT = 'Null characters are not allowed.'
const SURROGATE_TEXT = 'Surrogate characters are not allowed.'

/** Refuses text that could not be stored, naming the field, and values nested too deeply. */
export function requireCleanText(value: unknown): void {
  if (isClean(value, 0)) return
  const errors: FieldErrors = {}
  collect(value, [], errors)
  throw InvalidError.fields(errors)
}

function isClean(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return !UNSTORABLE.test(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth === MAX_DEPTH) throw notTheExpectedKind('Invalid data. It is nested too deeply.')
  if (Array.isArray(value)) return value.every((item) => isClean(item, depth + 1))
  for (const name of Object.keys(value)) {
    if (UNSTORABLE.test(name) || !isClean((value as Record<string, unknown>)[name], depth + 1)) return false
  }
  return true
}

function collect(value: unknown, path: string[], errors: FieldErrors): void {
  if (typeof value === 'string') {
    if (UNSTORABLE.test(value)) errors[path.join('.') || NON_FIELD_ERRORS] = [textFor(value)]
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    if (UNSTORABLE.test(name)) errors[path.join('.') || NON_FIELD_ERRORS] = [textFor(name)]
    else collect(member, [...path, name], errors)
  }
}

function textFor(text: string): string {
  return text.includes('\0') ? NUL_TEXT : SURROGATE_TEXT
}
