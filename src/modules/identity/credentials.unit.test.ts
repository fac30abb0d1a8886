import { expect, it } from 'vitest'

import { readCookie, readCredential } from './credentials.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

it.each([
  [{}, { kind: 'nothing' }],
  [{ cookie: 'a=b' }, { kind: 'nothing' }],
  [{ cookie: 'sessionid=' }, { kind: 'nothing' }],
  [{ cookie: 'a=b; sessionid=s1; sessionid=s2' }, { kind: 'session', token: 's1' }],
  [{ cookie: 'xsessionid=s0;sessionid = s1' }, { kind: 'session', token: 's1' }],
  [{ authorization: '' }, { kind: 'unreadable' }],
  [{ authorization: '', cookie: 'sessionid=s1' }, { kind: 'unreadable' }],
  [{ authorization: 'Token t' }, { kind: 'opaque', token: 't' }],
  [{ authorization: '  bEARER   t ' }, { kind: 'opaque', token: 't' }],
  [{ authorization: 'Token a.b.c' }, { kind: 'jwt', token: 'a.b.c' }],
  [{ authorization: 'Bearer a b' }, { kind: 'unreadable' }],
  [{ authorization: 'Digest t' }, { kind: 'unreadable' }],
  [{ authorization: basic('a:b:c') }, { kind: 'basic', username: 'a', password: 'b:c' }],
  [{ authorization: basic(':') }, { kind: 'basic', username: '', password: '' }],
  [{ authorization: basic('ü:é') }, { kind: 'basic', username: 'ü', password: 'é' }],
  [{ authorization: basic('ab') }, { kind: 'unreadable' }],
  [{ authorization: basic('a\0:b') }, { kind: 'unreadable' }],
  [{ authorization: 'Basic' }, { kind: 'unreadable' }],
  [{ authorization: `Token ${'x'.repeat(513)}` }, { kind: 'unreadable' }],
])('reads %j as %j', (headers, shown) => {
  expect(readCredential(headers)).toEqual(shown)
})

it('reads no cookie out of what is not one', () => {
  expect(readCookie('sessionid', 'sessionid')).toBeUndefined()
  expect(readCookie(';;=;', 'sessionid')).toBeUndefined()
  expect(readCookie(undefined, 'sessionid')).toBeUndefined()
})
