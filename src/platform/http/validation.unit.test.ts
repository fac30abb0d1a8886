import { Type, type TSchema } from 'typebox'
import { expect, it } from 'vitest'

import { NotFoundError, type InvalidError } from '../errors.ts'
import { nullable, uuidParam } from './schemas.ts'
import { compileValidator, FormFields } from './validation.ts'

const member = (schema: TSchema): TSchema => Type.Object({ field: schema })

it.each<[string, TSchema, unknown, string]>([
  ['missing', Type.String(), {}, 'This field is required.'],
  ['blank', Type.String({ minLength: 1 }), { field: '' }, 'This field may not be blank.'],
  ['too short', Type.String({ minLength: 4 }), { field: 'abc' }, 'Ensure this field has at least 4 characters.'],
  ['too long', Type.String({ maxLength: 3 }), { field: 'abcd' }, 'Ensure this field has no more than 3 characters.'],
  ['null', Type.String(), { field: null }, 'This field may not be null.'],
  ['no text', Type.String(), { field: 5 }, 'Not a valid string.'],
  ['text for a number', Type.Integer(), { field: '2' }, 'A valid integer is required.'],
  ['a fraction', Type.Integer(), { field: 1.5 }, 'A valid integer is required.'],
  ['text for a decimal', Type.Number(), { field: '2.5' }, 'A valid number is required.'],
  ['text for a truth value', Type.Boolean(), { field: 'true' }, 'Must be a valid boolean.'],
  ['no list', Type.Array(Type.String()), { field: 'a' }, 'Expected a list of items.'],
  ['empty list', Type.Array(Type.String(), { minItems: 1 }), { field: [] }, 'This list may not be empty.'],
  ['too small', Type.Integer({ minimum: 1 }), { field: 0 }, 'Ensure this value is greater than or equal to 1.'],
  ['too big', Type.Integer({ maximum: 9 }), { field: 10 }, 'Ensure this value is less than or equal to 9.'],
  ['no e-mail', Type.String({ format: 'email' }), { field: 'x' }, 'Enter a valid email address.'],
  [
    'unknown choice',
    Type.Union([Type.Literal('asc'), Type.Literal('desc')]),
    { field: 'up' },
    '"up" is not a valid choice.',
  ],
  ['unknown choice of an enum', Type.Enum(['asc', 'desc']), { field: 'up' }, '"up" is not a valid choice.'],
  ['no text or null', Type.Union([Type.String(), Type.Null()]), { field: 5 }, 'Not a valid string.'],
  [
    'too long or null',
    Type.Union([Type.String({ maxLength: 1 }), Type.Null()]),
    { field: 'ab' },
    'Ensure this field has no more than 1 characters.',
  ],
  ['no nullable text', nullable(Type.String()), { field: 5 }, 'Not a valid string.'],
  [
    'a text of the schema',
    Type.String({ minLength: 4, 'x-messages': { minLength: 'Too short!' } }),
    { field: 'a' },
    'Too short!',
  ],
  [
    'a required text of the schema',
    Type.String({ 'x-messages': { required: 'Say something.' } }),
    {},
    'Say something.',
  ],
])('says what is wrong with a field that is %s', (_name, schema, body, text) => {
  const outcome = validateBody(member(schema), body)

  expect(errorsOf(outcome)).toEqual({ field: [text] })
})

it('names nested fields with dots and reports all of them', () => {
  const schema = Type.Object({
    products: Type.Array(Type.Object({ quantity: Type.Integer({ minimum: 1 }) })),
    name: Type.String(),
  })

  const outcome = validateBody(schema, { products: [{ quantity: 0 }, {}] })

  expect(errorsOf(outcome)).toEqual({
    name: ['This field is required.'],
    'products.0.quantity': ['Ensure this value is greater than or equal to 1.'],
    'products.1.quantity': ['This field is required.'],
  })
})

it.each([[[]], ['text'], [5], [null]])('refuses the body %j where an object is expected', (body) => {
  const outcome = validateBody(Type.Object({}), body)

  expect(errorsOf(outcome)).toEqual({
    non_field_errors: [
      body === null ? 'Invalid data. This field may not be null.' : 'Invalid data. Expected an object.',
    ],
  })
})

it('ignores unknown members, even where the schema forbids them', () => {
  const outcome = validateBody(Type.Object({ a: Type.Integer() }, { additionalProperties: false }), { a: 1, b: 2 })

  expect(outcome).toEqual({ value: { a: 1, b: 2 } })
})

it('fills defaults at any depth and leaves given values', () => {
  const schema = Type.Object({
    name: Type.String({ default: 'x' }),
    items: Type.Array(Type.Object({ n: Type.Integer({ default: 1 }) })),
  })

  const outcome = validateBody(schema, { items: [{}, { n: 5 }] })

  expect(outcome).toEqual({ value: { name: 'x', items: [{ n: 1 }, { n: 5 }] } })
})

it('turns the text of a form into the values of the schema', () => {
  const schema = Type.Object({ n: Type.Integer(), on: Type.Boolean(), text: Type.String() })

  const outcome = validateBody(schema, new FormFields({ n: '5', on: 'true', text: '5', other: 'x' }))

  expect(outcome).toEqual({ value: { n: 5, on: true, text: '5', other: 'x' } })
})

it('answers 404 for a path id that is no UUID', () => {
  const validate = compileValidator({ schema: uuidParam, httpPart: 'params' })

  const outcome = validate({ id: '42' })

  expect((outcome as { error: Error }).error).toBeInstanceOf(NotFoundError)
})

it('lets the schema say the text of that 404', () => {
  const id = Type.String({ format: 'uuid', 'x-messages': { format: 'No user found' } })
  const validate = compileValidator({ schema: Type.Object({ id }), httpPart: 'params' })

  const outcome = validate({ id: '42' })

  expect((outcome as { error: Error }).error.message).toBe('No user found')
})

it('bounds the messages and the work for a body of nothing but mistakes', () => {
  const schema = Type.Object({ items: Type.Array(Type.Integer()) })
  const body = { items: Array.from({ length: 250_000 }, () => 'x') }
  const started = process.cpuUsage()

  const outcome = validateBody(schema, body)

  expect(Object.keys(errorsOf(outcome)).length).toBeLessThanOrEqual(60)
  // Milliseconds of the processor; half a second when every item was looked at.
  expect(process.cpuUsage(started).user / 1000).toBeLessThan(200)
})

it('refuses a long list with one mistake at its end', () => {
  const schema = Type.Object({ items: Type.Array(Type.Integer()) })
  const body = { items: [...Array.from({ length: 20_000 }, () => 1), 'x'] }

  expect(errorsOf(validateBody(schema, body))).toEqual({ items: ['Some of the items are not valid.'] })
})

it('takes a long list without a mistake, unknown members and all', () => {
  const schema = Type.Object({ items: Type.Array(Type.Object({ n: Type.Integer() })) })
  const body = { items: Array.from({ length: 20_000 }, () => ({ n: 1, other: 2 })) }

  expect(validateBody(schema, body)).toEqual({ value: body })
})

function validateBody(schema: TSchema, body: unknown): { value: unknown } | { error: Error } {
  return compileValidator({ schema, httpPart: 'body' })(body)
}

function errorsOf(outcome: { value: unknown } | { error: Error }): Record<string, string[]> {
  if ('value' in outcome) throw new Error(`was accepted: ${JSON.stringify(outcome.value)}`)
  return (outcome.error as InvalidError).errors ?? {}
}
