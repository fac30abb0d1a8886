import { expect, it } from 'vitest'

import { hasCardNumber } from './card-number.ts'

it.each([
  ['4111111111111111'],
  ['4111 1111 1111 1111'],
  ['4111-1111-1111-1111'],
  ['4111\u00a01111\u20131111\u20141111'],
  ['4111.1111.1111.1111'],
  ['4111  -  1111 1111 1111'],
  ['my card is 5500005555555559, thanks'],
  ['3782 822463 10005'],
  ['4111 1111 1111 1111 12/27 123'],
  ['4111111111111111 1227 123 4'],
  ['1234567890123'],
  ['1234567890123456789'],
  ['٤١١١١١١١١١١١١١١١'],
  ['pseudo-hold4111111111111111x'],
])('sees a card number in %j', (text) => {
  expect(hasCardNumber(text)).toBe(true)
})

it.each([
  [''],
  ['invoice 7'],
  ['pseudo-decline-1'],
  ['123456789012'],
  ['12345678901234567890'],
  ['1234a5678b9012c3456'],
  ['2025-02-11 13:21:54'],
  ['RE-2025/0042/123456'],
])('sees none in %j', (text) => {
  expect(hasCardNumber(text)).toBe(false)
})
