import { Type } from 'typebox'
import { expect, it } from 'vitest'

import { simplifyResponses } from './response-schemas.ts'

it.each([
  ['text or null', Type.Union([Type.String(), Type.Null()]), { type: ['string', 'null'] }],
  [
    'null or number',
    Type.Union([Type.Null(), Type.Number()], { description: 'Price.' }),
    { type: ['number', 'null'], description: 'Price.' },
  ],
  [
    'a choice or null',
    Type.Union([Type.Literal('a'), Type.Null()]),
    { anyOf: [{ type: 'string', const: 'a' }, { type: 'null' }] },
  ],
  ['text or number', Type.Union([Type.String(), Type.Number()]), { anyOf: [{ type: 'string' }, { type: 'number' }] }],
])('writes %s in the form that is serialised fastest', (_name, schema, simplified) => {
  expect(simplifyResponses({ 200: Type.Object({ field: schema }) })).toEqual({
    200: { type: 'object', required: ['field'], properties: { field: simplified } },
  })
})
