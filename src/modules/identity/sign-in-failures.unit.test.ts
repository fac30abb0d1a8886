import { expect, it } from 'vitest'

import { TooManyRequestsError } from '../../platform/errors.ts'
import { addressOf, refuseIfBlocked, unknownSubject } from './sign-in-failures.ts'

it.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2:3::', '2001:db8:1:2::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['::2:3:4:5:6:7', '0:0:2:3::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('counts %s as %s', (ip, address) => {
  expect(addressOf(ip)).toBe(address)
})

it('keeps unknown names in a bounded number of buckets', () => {
  const subjects = Array.from({ length: 1000 }, (_, index) => unknownSubject(`name-${index}`))

  expect(subjects.every((subject) => /^\?\d{1,5}$/.test(subject))).toBe(true)
  expect(new Set(subjects).size).toBeGreaterThan(950)
})

it('blocks until the deciding failure has left the window', () => {
  const failure = '2026-01-31T09:15:00.000000Z'

  const blocked = () => refuseIfBlocked(failure, 10, new Date('2026-01-31T09:19:30.500Z'))

  expect(blocked).toThrow(TooManyRequestsError)
  expect(blocked).toThrow(expect.objectContaining({ headers: { 'retry-after': '30' } }))
  expect(() => refuseIfBlocked(failure, 10, new Date('2026-01-31T09:20:00.000Z'))).not.toThrow()
  expect(() => refuseIfBlocked(failure, 0, new Date('2026-01-31T09:15:01.000Z'))).not.toThrow()
  expect(() => refuseIfBlocked(null, 10, new Date())).not.toThrow()
})
