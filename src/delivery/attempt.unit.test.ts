import { expect, test } from 'vitest'

import { decide, runAttempt, tooLate } from './attempt.ts'
import type { Delivery, DeliveryKind, Outcome } from './kind.ts'

const now = new Date('2026-01-01T12:00:00Z')
const hour = 3_600_000
const run = { startedAt: now, durationMs: 3, now }

function kindOf(overrides: Partial<DeliveryKind> = {}): DeliveryKind {
  return {
    name: 'test',
    slots: 1,
    attemptTimeoutMs: 1_000,
    keepsPayload: false,
    deliver: async () => ({ result: 'succeeded' }),
    retryDelayMs: (attempts) => (attempts < 3 ? 1_000 : undefined),
    ...overrides,
  }
}

function deliveryOf(overrides: Partial<Delivery> = {}): Delivery {
  return {
    id: 'one',
    kind: 'test',
    destination: 'here',
    orderKey: null,
    queuedAt: now.toISOString(),
    expiresAt: null,
    attempts: 0,
    lease: 1,
    firstAttemptAt: now.toISOString(),
    dueAt: now.toISOString(),
    seq: 1,
    payload: {},
    content: null,
    ...overrides,
  }
}

const busy: Outcome = { result: 'retry', error: 'busy' }

test.each([
  ['within its tries', {}, kindOf(), 'retry'],
  ['after the last try', { attempts: 2 }, kindOf(), 'failed'],
  ['when the next try would come after the age limit', {}, kindOf({ maxAgeMs: 500 }), 'failed'],
  ['when the next try would come after its end', { expiresAt: '2026-01-01T12:00:01Z' }, kindOf(), 'failed'],
  ['when its end is later', { expiresAt: '2026-01-01T12:00:02Z' }, kindOf(), 'retry'],
])('a failed try %s', (_when, overrides, kind, expected) => {
  const result = decide(kind, deliveryOf(overrides), busy, run)

  expect(result.result).toBe(expected)
  expect(result.error).toBe('busy')
})

test('the other side may ask for a longer wait, not for a shorter one', () => {
  const longer = decide(kindOf(), deliveryOf(), { ...busy, retryAfterMs: 5_000 }, run)
  const shorter = decide(kindOf(), deliveryOf(), { ...busy, retryAfterMs: 10 }, run)

  expect([longer.delayMs, shorter.delayMs]).toEqual([5_000, 1_000])
})

test('an answer is kept up to 16 KB, without a broken character at its end', () => {
  const result = decide(kindOf(), deliveryOf(), { result: 'succeeded', answer: `a${'é'.repeat(10_000)}` }, run)

  expect(result.isCut).toBe(true)
  expect(Buffer.byteLength(result.answer!)).toBe(16_383)
  expect(result.answer!.endsWith('é')).toBe(true)
})

test.each([
  ['fresh', {}, undefined],
  ['expired', { expiresAt: '2026-01-01T12:00:00Z' }, 'not sent: its time has passed'],
  [
    'too old',
    { firstAttemptAt: new Date(now.getTime() - 2 * hour).toISOString() },
    expect.stringContaining('given up'),
  ],
])('what is %s is judged before a try', (_what, overrides, expected) => {
  const late = tooLate(kindOf({ maxAgeMs: hour }), deliveryOf(overrides), now)

  expect(late).toEqual(expected)
})

test('an attempt that was stopped has no result, unless it had succeeded', async () => {
  const stop = new AbortController()
  const never = kindOf({ deliver: () => new Promise(() => undefined) })

  const running = runAttempt(never, deliveryOf(), stop.signal)
  stop.abort()
  const stopped = await running
  const late = await runAttempt(kindOf(), deliveryOf(), stop.signal)

  expect([stopped, late]).toEqual([undefined, undefined])
})

test('a kind that throws before its first await has failed, not crashed', async () => {
  const broken = kindOf({
    deliver: () => {
      throw new Error('broken')
    },
  })

  const ended = await runAttempt(broken, deliveryOf(), new AbortController().signal)

  expect(ended).toEqual({ outcome: { result: 'retry', error: 'broken' }, isTimeout: false })
})
