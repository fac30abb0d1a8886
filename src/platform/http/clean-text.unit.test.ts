import { expect, it } from 'vitest'

import type { InvalidError } from '../errors.ts'
import { requireCleanText } from './clean-text.ts'

it.each([
  [{ name: 'a\0b' }, { name: ['Null characters are not allowed.'] }],
  [{ items: [{ text: 'ok' }, { text: '\0' }] }, { 'items.1.text': ['Null characters are not allowed.'] }],
  [{ name: '\ud83d' }, { name: ['Surrogate characters are not allowed.'] }],
  [{ inner: { 'a\0': 1 } }, { inner: ['Null characters are not allowed.'] }],
  ['\0', { non_field_errors: ['Null characters are not allowed.'] }],
])('refuses %j and names the field', (value, errors) => {
  expect(refusal(value).errors).toEqual(errors)
})

it.each([[{ name: 'Ünï 😀 \n' }], [[1, null, true]], ['text'], [undefined]])('takes %j', (value) => {
  expect(() => requireCleanText(value)).not.toThrow()
})

it('refuses what is nested too deeply, without exhausting the stack', () => {
  const deep: unknown = JSON.parse('['.repeat(200_000) + ']'.repeat(200_000))

  expect(refusal(deep).errors).toEqual({ non_field_errors: ['Invalid data. It is nested too deeply.'] })
})

function refusal(value: unknown): InvalidError {
  try {
    requireCleanText(value)
  } catch (error) {
    return error as InvalidError
  }
  throw new Error('was accepted')
}
