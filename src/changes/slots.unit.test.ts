import { expect, it } from 'vitest'

import { createSlots } from './slots.ts'

it('runs no more at once than there are slots, and frees them on failure', async () => {
  const slots = createSlots(2)
  let open = 0
  let most = 0
  const work = async (fails: boolean): Promise<void> => {
    open += 1
    most = Math.max(most, open)
    await new Promise((resolve) => setTimeout(resolve, 2))
    open -= 1
    if (fails) throw new Error('failed')
  }

  const results = await Promise.allSettled(Array.from({ length: 9 }, (_, index) => slots(() => work(index % 2 === 0))))

  expect(most).toBe(2)
  expect(results.filter((result) => result.status === 'rejected')).toHaveLength(5)
})
