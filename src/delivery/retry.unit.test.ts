import { expect, test } from 'vitest'

import { growingDelay, listedDelay } from './retry.ts'

test('growing waits multiply, stay under their maximum, and end with the attempts', () => {
  const delay = growingDelay({ baseMs: 1_000, factor: 5, maxMs: 60_000, maxAttempts: 5, random: () => 0.5 })

  const waits = [1, 2, 3, 4, 5, 6].map(delay)

  expect(waits).toEqual([1_000, 5_000, 25_000, 60_000, undefined, undefined])
})

test('listed waits are those of the list', () => {
  const delay = listedDelay({ delaysMs: [5_000, 300_000], random: () => 0.5 })

  const waits = [1, 2, 3].map(delay)

  expect(waits).toEqual([5_000, 300_000, undefined])
})

test('every wait is at most a fifth longer or shorter', () => {
  const shortest = listedDelay({ delaysMs: [10_000], random: () => 0 })
  const longest = listedDelay({ delaysMs: [10_000], random: () => 0.999_999 })

  expect([shortest(1), longest(1)]).toEqual([8_000, 12_000])
})
