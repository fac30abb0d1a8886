import { expect, it } from 'vitest'

import { isOutage } from './outage.ts'

it('tells an unreachable database from work that fails', () => {
  expect(isOutage(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }))).toBe(true)
  expect(isOutage(Object.assign(new Error('x'), { code: '57P01' }))).toBe(true)
  expect(isOutage(new Error('Connection terminated unexpectedly'))).toBe(true)
  expect(isOutage(Object.assign(new Error('x'), { code: '23505' }))).toBe(false)
  expect(isOutage(Object.assign(new Error('x'), { code: '40P01' }))).toBe(false)
  expect(isOutage(new Error('cannot read properties of undefined'))).toBe(false)
})
