import { describe, expect, it } from 'vitest'

import { emailFault, passwordFault, refuseFaults, usernameFault } from './account-rules.ts'

describe('names', () => {
  it.each(['a', 'Ada.Lovelace+x@y-z_1', 'Ольга', 'é', 'e\u0301', 'नमस्ते', 'x'.repeat(150)])('accept %s', (name) => {
    expect(usernameFault(name)).toBeUndefined()
  })

  it.each(['', ' ', 'a b', 'a/b', 'a\n', '💥', 'x'.repeat(151), '0193E3A0-7C1E-7000-8000-3F2A5C9D1B47'])(
    'refuse %j',
    (name) => {
      expect(usernameFault(name)).toBeTypeOf('string')
    },
  )
})

describe('e-mail addresses', () => {
  it.each(['a@b', 'admin@localhost', "o'brien+x&y@ex-ample.co.uk", 'ü@exämple.de'])('accept %s', (email) => {
    expect(emailFault(email)).toBeUndefined()
  })

  it.each([
    '',
    '@',
    'a@',
    '@b',
    'a@b@c',
    'a b@c',
    'a@b c',
    'a@b..c',
    'a@.b',
    'a,b@c',
    '<a@b>',
    'a@b\r\nBcc:x',
    `${'a'.repeat(253)}@b`,
  ])('refuse %j', (email) => {
    expect(emailFault(email)).toBe('Enter a valid email address.')
  })
})

describe('passwords', () => {
  it.each([
    ['abc', 'Password should have a minimum of 4 characters.'],
    ['    ', 'This field may not be blank.'],
    ['abcd', undefined],
    [' abc', undefined],
    ['𝒳'.repeat(4), undefined],
    ['x'.repeat(128), undefined],
    ['x'.repeat(129), 'Ensure this field has no more than 128 characters.'],
  ])('%j: %s', (password, fault) => {
    expect(passwordFault(password, 4)).toBe(fault)
  })

  it('may have to be longer', () => {
    expect(passwordFault('seven77', 8)).toBe('Password should have a minimum of 8 characters.')
  })
})

it('reports every fault at once, the first as the detail', () => {
  const faults = { username: undefined, email: 'no e-mail', password: 'too short' }

  expect(() => refuseFaults(faults)).toThrow(
    expect.objectContaining({ message: 'no e-mail', errors: { email: ['no e-mail'], password: ['too short'] } }),
  )
  expect(() => refuseFaults({ username: undefined })).not.toThrow()
})
