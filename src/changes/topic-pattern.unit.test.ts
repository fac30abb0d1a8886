import { expect, it } from 'vitest'

import { topicMatcher } from './topic-pattern.ts'

it('matches topics by name and by the beginning before a star', () => {
  const matches = topicMatcher(['orders.*', 'identity.user.created'])

  expect(matches('orders.order.accepted')).toBe(true)
  expect(matches('identity.user.created')).toBe(true)
  expect(matches('identity.user.deleted')).toBe(false)
  expect(topicMatcher(['*'])('anything.at.all')).toBe(true)
  expect(topicMatcher([])('anything.at.all')).toBe(false)
})
