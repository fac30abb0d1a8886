import { expect, it } from 'vitest'

import { secondsAfter } from './clock.ts'

it.each([
  ['2025-02-11T13:21:54.181982Z', 1, '2025-02-11T13:21:55.181982Z'],
  ['2025-02-11T23:59:59.000001Z', 60, '2025-02-12T00:00:59.000001Z'],
  ['2024-12-31T23:59:59.999999Z', 1, '2025-01-01T00:00:00.999999Z'],
  ['2024-02-28T12:00:00.500000Z', 86_400, '2024-02-29T12:00:00.500000Z'],
  ['2025-02-11T13:21:54.000000Z', 0, '2025-02-11T13:21:54.000000Z'],
])('counts from %s by %i seconds without losing a microsecond', (time, seconds, later) => {
  expect(secondsAfter(time, seconds)).toBe(later)
})
