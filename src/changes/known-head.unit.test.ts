import { pino } from 'pino'
import { expect, it } from 'vitest'

import { createKnownHead } from './known-head.ts'

function watchedHead() {
  const head = createKnownHead(pino({ level: 'silent' }))
  const heard: string[] = []
  head.onAdvance(() => void heard.push(`advance ${head.position}`))
  head.onReset(() => void heard.push(`reset ${head.position}`))
  return { head, heard }
}

it('does not take the late answer of a pass for a log that has gone back in time', () => {
  const { head, heard } = watchedHead()
  head.found(5, 0)
  const knownBefore = head.position

  head.told(7)
  head.found(6, knownBefore)

  expect(head.position).toBe(7)
  expect(heard).toEqual(['advance 5', 'advance 7'])
})

it('starts again when a pass finds the head before what was known when it was sent', () => {
  const { head, heard } = watchedHead()
  head.found(5, 0)

  head.found(3, 5)

  expect(head.position).toBe(3)
  expect(heard).toEqual(['advance 5', 'reset 3', 'advance 3'])
})

it('hears an old notification without going back', () => {
  const { head, heard } = watchedHead()
  head.found(5, 0)

  head.told(4)

  expect(head.position).toBe(5)
  expect(heard).toEqual(['advance 5'])
})
