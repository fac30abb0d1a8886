import { expect, it } from 'vitest'

import { sampleOf } from './sample.ts'

it('is everything where there is little', () => {
  const value = { name: 'a', items: [{ n: 1 }, { n: 2 }], none: null }

  expect(sampleOf(value)).toEqual({ value, cutAt: undefined })
})

it('cuts a long list and says which', () => {
  const { value, cutAt } = sampleOf({ inner: { items: Array.from({ length: 100_000 }, () => 1) } })

  expect(cutAt).toEqual(['inner', 'items'])
  expect((value as { inner: { items: number[] } }).inner.items.length).toBeLessThan(5_000)
})

it('cuts many short lists too', () => {
  const { value } = sampleOf(Array.from({ length: 1_000 }, () => Array.from({ length: 100 }, () => 1)))

  expect(JSON.stringify(value).length).toBeLessThan(20_000)
})
