import { setTimeout as sleep } from 'node:timers/promises'

import { pino } from 'pino'
import { expect, it } from 'vitest'

import type { LoggedChange } from '../changes/index.ts'
import { RecentChanges } from './recent-changes.ts'
import { createTail, type TailOptions } from './tail.ts'

/** A tail on a log that has the changes up to `last()`, of which the process has heard up to `reached()`. */
function follow(log: { last: () => number; reached: () => number; readMs?: number }) {
  let looks = 0
  let advance = (): void => undefined
  const changeLog: TailOptions['changeLog'] = {
    head: () => {
      looks += 1
      return Promise.resolve({ epoch: 'e', position: looks === 1 ? 0 : log.last(), oldest: 1 })
    },
    follow: async (after) => {
      const count = Math.min(500, log.last() - after)
      await sleep(log.readMs ?? 0)
      return Array.from({ length: count }, (_, index) => change(after + 1 + index))
    },
    get reached() {
      return log.reached()
    },
    onAdvance: (listener) => {
      advance = listener
      return () => undefined
    },
  }
  const tail = createTail({
    changeLog,
    log: pino({ level: 'silent' }),
    recent: new RecentChanges({ recentChanges: 100, recentBytes: 100_000 }),
    onBatch: () => undefined,
    onEntry: () => 0,
    onBatchEnd: () => undefined,
    onReset: () => undefined,
  })
  return { tail, advance: () => advance(), looks: () => looks }
}

function change(position: number): LoggedChange {
  const subject = { type: 'note', id: '1' }
  const rest = { key: 'note:1', actor: null, audience: [], data: {}, json: '{}', time: '' }
  return { position, id: `${position}`, topic: 'test.note.written', subject, ...rest }
}

it('reads to the end of the log although it does not hear how far that is', async () => {
  const { tail } = follow({ last: () => 2_600, reached: () => 0 })

  await tail.service.start()
  await sleep(200)
  const { position } = tail
  await tail.service.stop()

  expect(position).toBe(2_600)
})

it('looks at the head about once a second however long the changes do not cease', async () => {
  const started = performance.now()
  const last = (): number => Math.floor(performance.now() - started)
  const { tail, advance, looks } = follow({ last, reached: last, readMs: 5 })
  const timer = setInterval(advance, 5)

  await tail.service.start()
  await sleep(2_500)
  clearInterval(timer)
  await tail.service.stop()

  expect(looks()).toBeGreaterThanOrEqual(3)
})
