import { expect, it } from 'vitest'

import { createJwts } from './jwts.ts'

const subject = {
  userId: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b47',
  username: 'ada',
  firstName: 'Ada',
  signInId: '0193e3a0-7c1e-7000-8000-3f2a5c9d1b48',
}
const now = new Date('2026-01-31T09:15:02.900Z')
const at = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const jwts = createJwts('a secret for tests only')

it('reads what it issued, until it expires', () => {
  const { token, jti, expiresAt } = jwts.issue('access', subject, now, 60)

  expect(jwts.read('access', token, at(59))).toEqual({
    userId: subject.userId,
    signInId: subject.signInId,
    jti,
    expiresAt: expiresAt.getTime() / 1000,
  })
  expect(jwts.read('access', token, expiresAt)).toBeUndefined()
  expect(jwts.read('refresh', token, now)).toBeUndefined()
})

it('gives every token an id of its own', () => {
  const first = jwts.issue('refresh', subject, now, 60)
  const second = jwts.issue('refresh', subject, now, 60)

  expect(first.jti).not.toBe(second.jti)
})

it('keeps names of every script and length readable', () => {
  const named = { ...subject, username: '𝒳'.repeat(254), firstName: '"\\\u0001'.repeat(50) }

  const { token } = jwts.issue('access', named, now, 60)

  expect(jwts.read('access', token, now)?.userId).toBe(subject.userId)
})

it('reads nothing under another secret', () => {
  const { token } = createJwts('another secret').issue('access', subject, now, 60)

  expect(jwts.read('access', token, now)).toBeUndefined()
})
