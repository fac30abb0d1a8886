import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { expect, it } from 'vitest'

import { closeObjects } from './close-objects.ts'

it('closes objects wherever they are in a schema', () => {
  const item = Type.Object({ a: Type.String() })
  const schema = Type.Object({ one: item, many: Type.Array(item), either: Type.Union([item, Type.Null()]) })

  const closed = Compile(closeObjects(schema))

  expect(closed.Check({ one: { a: '' }, many: [{ a: '' }], either: { a: '' } })).toBe(true)
  expect(closed.Check({ one: { a: '', b: 1 }, many: [], either: null })).toBe(false)
  expect(closed.Check({ one: { a: '' }, many: [{ a: '', b: 1 }], either: null })).toBe(false)
  expect(closed.Check({ one: { a: '' }, many: [], either: { a: '', b: 1 } })).toBe(false)
  expect(closed.Check({ one: { a: '' }, many: [], either: null, more: 1 })).toBe(false)
})

it('leaves the schema given as it was, and maps open', () => {
  const schema = Type.Object({ stock: Type.Record(Type.String(), Type.Integer()) })

  const closed = Compile(closeObjects(schema))

  expect(JSON.stringify(schema)).not.toContain('additionalProperties')
  expect(closed.Check({ stock: { default: 1, other: 2 } })).toBe(true)
})

it('closes the parts of an intersection together', () => {
  const both = Type.Intersect([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })])
  const schema = Type.Object({ both })

  const closed = Compile(closeObjects(schema))

  expect(closed.Check({ both: { a: '', b: '' } })).toBe(true)
  expect(closed.Check({ both: { a: '', b: '', c: '' } })).toBe(false)
})

it('does not take a member named like a keyword for one', () => {
  const schema = Type.Object({ default: Type.Object({ const: Type.String() }) })

  const closed = Compile(closeObjects(schema))

  expect(closed.Check({ default: { const: '' } })).toBe(true)
  expect(closed.Check({ default: { const: '', x: 1 } })).toBe(false)
})
