import { readFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { ConfigError, loadConfig, strayLines } from './config.ts'

test('starts from nothing with the documented defaults', () => {
  const config = loadConfig({})

  expect(config).toMatchObject({
    host: '127.0.0.1',
    port: 8000,
    databaseUrl: undefined,
    databasePoolSize: 10,
    timeZone: 'UTC',
  })
  expect(config.trustedOrigins).toEqual(['http://localhost:3000'])
})

test('lists every fault in one message', () => {
  const env = {
    PORT: 'eighty',
    DATABASE_URL: 'mysql://u:hunter2@h/db',
    TIME_ZONE: 'Mars/Olympus',
    TRUSTED_ORIGINS: 'shop.example',
  }

  const error = thrown(() => loadConfig(env))

  expect(error.problems).toHaveLength(4)
  expect(error.message).toContain('PORT must be a whole number from 0 to 65535, not "eighty"')
  expect(error.message).toContain('TIME_ZONE')
  expect(error.message).toContain('TRUSTED_ORIGINS')
  expect(error.message).not.toContain('hunter2')
})

test('takes a blank value for an unset one', () => {
  expect(loadConfig({ PORT: ' ', DATABASE_URL: '' })).toMatchObject({ port: 8000, databaseUrl: undefined })
})

test('keeps the blanks of a password, and no line end of a file', () => {
  const { admin, oauthClientSecret } = loadConfig({ ADMIN_PASSWORD: ' pass ', OAUTH_CLIENT_SECRET: 'secret\r\n' })

  expect([admin.password, oauthClientSecret]).toEqual([' pass ', 'secret'])
  expect(loadConfig({ ADMIN_PASSWORD: '   ' }).admin.password).toBeUndefined()
})

test('takes addresses and ranges for proxies, and nothing that the server would choke on', () => {
  const good = ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', 'loopback']

  expect(loadConfig({ TRUST_PROXY: good.join(', ') }).trustProxy).toEqual(good)
  for (const bad of [
    'proxy',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '10.0.0.0/',
    '::1/129',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    'true',
    '1',
  ])
    expect(thrown(() => loadConfig({ TRUST_PROXY: bad })).problems).toEqual([
      `TRUST_PROXY must list IP addresses or ranges such as 10.0.0.0/8, not "${bad}"`,
    ])
})

test('lists the faults that a module finds with its own', () => {
  const error = thrown(() => loadConfig({ PORT: 'eighty' }, () => ['ADMIN_EMAIL: Enter a valid email address.']))

  expect(error.problems).toHaveLength(2)
})

test('cannot be changed after start', () => {
  expect(() => Object.assign(loadConfig({}), { port: 1 })).toThrow(TypeError)
})

function thrown(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    if (error instanceof ConfigError) return error
  }
  throw new Error('expected a ConfigError')
}

test('takes a sender with and without a name, and nothing else', () => {
  expect(loadConfig({ MAIL_FROM: 'Souk <souk@shop.example>' }).mail.from).toBe('Souk <souk@shop.example>')
  expect(thrown(() => loadConfig({ MAIL_FROM: 'nobody' })).problems[0]).toContain('MAIL_FROM must be an address')
})

test.each([
  ['', []],
  ['# a comment\n\nPORT=1\n export LOG_LEVEL = info # quiet\r\nSECRET_KEY="two\nlines"\nA=\n', []],
  ['GARBAGE LINE\nPORT=zz\n', [1]],
  ['PORT=1\nGARBAGE', [2]],
  ['=x\nSECRET_KEY="two\nlines"\nmore lines"', [1, 4]],
])('finds the lines of %j that are no settings', (text, lines) => {
  expect(strayLines(text)).toEqual(lines)
})

test('finds none in the example', () => {
  expect(strayLines(readFileSync('.env.example', 'utf8'))).toEqual([])
})
