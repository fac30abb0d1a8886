import fc from 'fast-check'
import { expect, test } from 'vitest'

import { isMailAddress } from './address.ts'
import { composeMessage, MailAddressError } from './message.ts'

const parts = {
  from: 'Souk <souk@example.org>',
  to: 'ada@example.org',
  subject: 'Hello',
  html: '<p>Hello</p>',
  text: 'Hello',
  date: new Date('2026-01-02T03:04:05Z'),
  id: '0190b6d0-0000-7000-8000-000000000000',
}

test.each([
  ['admin@localhost', true],
  ['a.b+c@example.org', true],
  ['ä@exämple.org', true],
  ['a@b@c', false],
  ['a b@example.org', false],
  ['a@example.org\n', false],
  ['<a@example.org>', false],
  ['a@example.org,b@example.org', false],
  ['a..b@example.org', false],
  [`${'a'.repeat(65)}@example.org`, false],
  ['@example.org', false],
])('%j is an address: %s', (text, expected) => {
  expect(isMailAddress(text)).toBe(expected)
})

test('the message carries its identity, both forms of the text, and only CRLF', async () => {
  const message = await composeMessage({ ...parts, subject: 'Zoë', text: 'Zoë', html: '<p>Zoë</p>' })

  expect(message.messageId).toBe(`<${parts.id}@example.org>`)
  expect(message.envelope).toEqual({ from: 'souk@example.org', to: 'ada@example.org' })
  expect(message.raw).toContain('Message-ID: <0190b6d0-0000-7000-8000-000000000000@example.org>\r\n')
  expect(message.raw).toContain('Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n')
  expect(message.raw).toContain('multipart/alternative')
  expect(message.raw.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
})

test('whatever the subject and the values say, the header has the same fields', async () => {
  const hostile = fc.string({
    unit: fc.constantFrom('\r', '\n', '\0', '\u2028', ':', ' ', 'B', 'c', '=?', 'é', '😀'),
    maxLength: 60,
  })

  await fc.assert(
    fc.asyncProperty(hostile, async (subject) => {
      const { raw } = await composeMessage({ ...parts, subject })
      const head = raw.slice(0, raw.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]/g, ' ')
      const names = head.split('\r\n').map((line) => line.slice(0, line.indexOf(':')).toLowerCase())

      expect(names.filter((name) => name !== 'subject').toSorted()).toEqual([
        'auto-submitted',
        'content-type',
        'date',
        'from',
        'message-id',
        'mime-version',
        'to',
      ])
    }),
    { numRuns: 300 },
  )
})

test('what is not one address is refused', async () => {
  await expect(composeMessage({ ...parts, to: 'a@example.org\r\nBcc: b@example.org' })).rejects.toThrow(
    MailAddressError,
  )
})
