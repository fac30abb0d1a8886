import { Type } from 'typebox'
import { expect, it } from 'vitest'

import { textReader } from './text-values.ts'

const read = textReader(
  Type.Object({
    page: Type.Integer(),
    price: Type.Number(),
    active: Type.Boolean(),
    word: Type.String(),
    ids: Type.Array(Type.Integer()),
    limit: Type.Union([Type.Integer(), Type.Null()]),
  }),
)

it.each([
  ['page', '12', 12],
  ['page', '-3', -3],
  ['page', '1.0', '1.0'],
  ['page', ' 1', ' 1'],
  ['page', '', ''],
  ['page', '1e3', '1e3'],
  ['page', '0x10', '0x10'],
  ['page', '99999999999999999999', '99999999999999999999'],
  ['page', ['1', '2'], 2],
  ['price', '.5', 0.5],
  ['price', 'NaN', 'NaN'],
  ['price', 'Infinity', 'Infinity'],
  ['active', 'TRUE', true],
  ['active', '0', false],
  ['active', 'yes', 'yes'],
  ['word', '5', '5'],
  ['word', ['a', 'b'], 'b'],
  ['ids', '7', [7]],
  ['ids', ['7', 'x'], [7, 'x']],
  ['limit', '5', 5],
  ['unknown', '5', '5'],
])('reads %s=%j as %j', (name, text, value) => {
  expect(read({ [name]: text })).toEqual({ [name]: value })
})
