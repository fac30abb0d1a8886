import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { coversTopic, isTopicPattern, patternsCovering } from './topic-patterns.ts'

describe('isTopicPattern', () => {
  it.each(['*', 'orders.*', 'orders.order.accepted', 'identity.sign-in.created', 'o*', 'made_up.by.a-newer-version'])(
    'takes %s',
    (text) => expect(isTopicPattern(text)).toBe(true),
  )

  it.each(['', ' ', 'orders.*.accepted', '**', '*x', '.orders', 'a b', 'a\n', 'é', `a${'b'.repeat(100)}`])(
    'refuses %j',
    (text) => expect(isTopicPattern(text)).toBe(false),
  )
})

describe('patternsCovering', () => {
  const topic = fc.constantFrom('orders.order.accepted', 'orders.order.placed', 'identity.user.created')
  const pattern = fc.oneof(
    topic,
    fc.constant('*'),
    fc.tuple(topic, fc.nat(25)).map(([text, length]) => `${text.slice(0, length)}*`),
  )

  it('lists exactly the patterns that cover the topic', () => {
    fc.assert(
      fc.property(topic, pattern, (name, text) => {
        expect(patternsCovering(name).includes(text)).toBe(coversTopic([text], name))
      }),
    )
  })
})
