import { expect, test } from 'vitest'

import { smtpSettings, type SmtpConfig } from './smtp-settings.ts'

const none: SmtpConfig = {
  smtpUrl: undefined,
  smtpServer: undefined,
  smtpPort: 587,
  smtpUsername: undefined,
  smtpPassword: undefined,
}

test('without a server there are no settings', () => {
  expect(smtpSettings(none)).toBeUndefined()
})

test.each([
  ['smtp://mail.example.org', { port: 587, isImplicitTls: false, requiresTls: true }],
  ['smtps://mail.example.org', { port: 465, isImplicitTls: true, requiresTls: false }],
  ['smtp://mail.example.org:465', { port: 465, isImplicitTls: true, requiresTls: false }],
  ['smtp://mail.example.org:25', { port: 25, isImplicitTls: false, requiresTls: false }],
  ['smtp://127.0.0.1:587', { port: 587, isImplicitTls: false, requiresTls: false, isLoopback: true }],
  ['smtp://[::1]:2525', { host: '::1', port: 2525, isLoopback: true }],
  ['smtp://us%40er:p%2Fw@localhost:2525', { host: 'localhost', auth: { user: 'us@er', pass: 'p/w' } }],
])('%s', (smtpUrl, expected) => {
  expect(smtpSettings({ ...none, smtpUrl })).toMatchObject(expected)
})

test('the four settings mean STARTTLS on 587 and TLS from the first byte on 465', () => {
  const server = { ...none, smtpServer: 'mail.example.org', smtpUsername: 'souk', smtpPassword: 'pw' }

  const starttls = smtpSettings(server)
  const implicit = smtpSettings({ ...server, smtpPort: 465 })

  expect(starttls).toMatchObject({
    port: 587,
    requiresTls: true,
    isImplicitTls: false,
    auth: { user: 'souk', pass: 'pw' },
  })
  expect(implicit).toMatchObject({ port: 465, isImplicitTls: true })
})
