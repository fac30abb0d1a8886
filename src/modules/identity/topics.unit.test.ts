import { expect, it } from 'vitest'

import { rightsEnded, topics } from './topics.ts'

it.each([
  ['identity.user.deleted', { user_id: 'u', username: 'ada' }, { userId: 'u', signInIds: 'all' }],
  ['identity.password.changed', { user_id: 'u', kept_sign_in_id: 's' }, { userId: 'u', signInIds: 'all', except: 's' }],
  ['identity.password.changed', { user_id: 'u', kept_sign_in_id: null }, { userId: 'u', signInIds: 'all' }],
  ['identity.sign-in.revoked', { user_id: 'u', sign_in_id: 's' }, { userId: 'u', signInIds: ['s'] }],
  ['identity.access-token.revoked', { user_id: 'u', sign_in_id: 's' }, { userId: 'u', signInIds: ['s'] }],
  ['identity.sign-in.renewed', { user_id: 'u', sign_in_id: 's', kind: 'oauth' }, { userId: 'u', signInIds: ['s'] }],
  ['identity.sign-in.renewed', { user_id: 'u', sign_in_id: 's', kind: 'jwt' }, undefined],
  ['identity.sign-in.created', { user_id: 'u', sign_in_id: 's' }, undefined],
  ['identity.user.updated', { user_id: 'u' }, undefined],
  ['catalog.product.created', { user_id: 'u' }, undefined],
])('%s %j ends %j', (topic, data, ended) => {
  expect(rightsEnded({ topic, data })).toEqual(ended)
})

it('names every topic in the past tense of its module', () => {
  expect(topics.filter((topic) => !/^identity\.[a-z-]+\.[a-z-]+ed$/.test(topic.name))).toEqual([])
  expect(new Set(topics.map((topic) => topic.name)).size).toBe(topics.length)
})
