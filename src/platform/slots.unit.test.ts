import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'

import { createSlots } from './slots.ts'

test('so many at once, in the order in which they came, also past one that throws', async () => {
  const slots = createSlots(2)
  const started: number[] = []
  let running = 0
  let most = 0
  const work = async (n: number): Promise<number> => {
    started.push(n)
    most = Math.max(most, ++running)
    await turn()
    running -= 1
    if (n === 1) throw new Error('one that throws')
    return n
  }

  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map((n) => slots(() => work(n))))

  expect(started).toEqual([0, 1, 2, 3, 4])
  expect(most).toBe(2)
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', ...Array(3).fill('fulfilled')])
})
