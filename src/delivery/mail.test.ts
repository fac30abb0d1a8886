import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import { accountOf, emptyDelivery, forwardClock, until, untilDone } from '../../test/support/delivery.ts'
import { startSmtp, type FakeSmtp } from '../../test/support/smtp.ts'
import type { Clock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config.ts'
import { sql } from '../platform/db/sql.ts'
import { listMailbox } from '../platform/mail/index.ts'
import type { Service } from '../platform/service.ts'
import { createDelivery, defineMailTemplate, listFailed, queueMail, queueMails, type NewMail } from './index.ts'

const greeting = defineMailTemplate<{ name: string }>({
  name: 'greeting',
  render: ({ name }) => {
    if (name === 'unrenderable') throw new Error('no such person')
    return {
      subject: `Hello ${name}`,
      html: '<p>Hello, secret-of-the-body</p>',
      text: `Hello ${name}, secret-of-the-body`,
    }
  },
})

const minute = 60_000

let database: TestDatabase
let dataDir: string
let running: Service[] = []
let smtp: FakeSmtp | undefined

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await emptyDelivery(database.db)
  dataDir = await mkdtemp(join(tmpdir(), 'souk-mail-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()))
  await smtp?.close()
  smtp = undefined
  await rm(dataDir, { recursive: true, force: true })
})

/** Starts a worker for mail; `log` collects what it writes. */
async function startMail(env: Record<string, string>, options: { clock?: Clock; level?: string } = {}) {
  const log: Record<string, unknown>[] = []
  const lines = new Writable({
    write: (line: Buffer, _encoding, callback) => {
      log.push(JSON.parse(line.toString()) as Record<string, unknown>)
      callback()
    },
  })
  const delivery = createDelivery({
    db: database.db,
    config: loadConfig({ DATA_DIR: dataDir, MAIL_FROM: 'Souk <souk@example.org>', ...env }),
    clock: options.clock ?? forwardClock(),
    log: pino({ level: options.level ?? 'info' }, lines),
    templates: [greeting],
  })
  const services = delivery.services()
  running.push(...services)
  for (const service of services) await service.start()
  return log
}

function send(mail: Partial<NewMail> = {}): Promise<void> {
  const whole: NewMail = { key: 'one', template: 'greeting', to: 'a@example.org', values: { name: 'Ada' }, ...mail }
  return database.db.transaction((tx) => queueMail(tx, whole))
}

function sendMany(count: number): Promise<void> {
  const mails = Array.from({ length: count }, (_, n) => ({
    key: `many-${n}`,
    template: 'greeting',
    to: `user-${n}@example.org`,
    values: { name: `number ${n}` },
  }))
  return database.db.transaction((tx) => queueMails(tx, mails))
}

describe('with a mail server', () => {
  test('a mail arrives once, with HTML and plain text, from the configured sender', async () => {
    smtp = await startSmtp()
    await startMail({ SMTP_URL: smtp.url })

    await send()
    const account = await untilDone(database.db)

    const [mail] = smtp.accepted
    expect(account).toMatchObject({ committed: 1, succeeded: 1 })
    expect(smtp.received).toHaveLength(1)
    expect(mail).toMatchObject({ to: 'a@example.org', subject: 'Hello Ada' })
    expect(mail!.raw).toMatch(/^From: Souk <souk@example\.org>$/m)
    expect(mail!.raw).toMatch(/^Content-Type: text\/plain/m)
    expect(mail!.raw).toMatch(/^Content-Type: text\/html/m)
  })

  test('the four settings work as the URL does, with a sign-in', async () => {
    const users: string[] = []
    smtp = await startSmtp({
      server: {
        authOptional: false,
        allowInsecureAuth: true,
        onAuth: (auth, _session, callback) => {
          users.push(`${auth.username}:${auth.password}`)
          callback(null, { user: auth.username })
        },
      },
    })
    const port = String(smtp.port)
    await startMail({ SMTP_SERVER: '127.0.0.1', SMTP_PORT: port, SMTP_USERNAME: 'souk', SMTP_PASSWORD: 'p@ss/word' })

    await send()
    await untilDone(database.db)

    expect(users).toEqual(['souk:p@ss/word'])
    expect(smtp.accepted).toHaveLength(1)
  })

  test('STARTTLS is used when the server offers it', async () => {
    smtp = await startSmtp({ server: { disabledCommands: [] } })
    await startMail({ SMTP_URL: smtp.url })

    await send()
    await untilDone(database.db)

    expect(smtp.accepted[0]!.raw).toContain('Hello Ada')
  })

  test('TLS from the first byte is used for smtps', async () => {
    smtp = await startSmtp({ server: { secure: true } })
    await startMail({ SMTP_URL: `smtps://127.0.0.1:${smtp.port}` })

    await send()
    await untilDone(database.db)

    expect(smtp.accepted).toHaveLength(1)
  })

  test('4xx is tried again with growing waits, under the same Message-ID; what was accepted is not sent again', async () => {
    smtp = await startSmtp({ onMail: (mail, earlier) => (mail.to === 'busy@example.org' && earlier < 2 ? 451 : 250) })
    const clock = forwardClock()
    await startMail({ SMTP_URL: smtp.url }, { clock })

    await send({ key: 'fine' })
    await send({ key: 'busy', to: 'busy@example.org' })
    const waits: number[] = []
    for (let attempts = 1; attempts <= 2; attempts++) {
      const waiting = sql`SELECT extract(epoch FROM due_at)::float8 AS due FROM deliveries WHERE attempts = ${attempts} AND state = 'ready'`
      await until(`attempt ${attempts} is stored`, async () => (await database.db.rows(waiting)).length === 1)
      const row = await database.db.row<{ due: number }>(waiting)
      waits.push(row!.due * 1_000 - clock.now().getTime())
      clock.advance(10 * minute)
    }
    await untilDone(database.db)

    const ids = smtp.received.filter((mail) => mail.to === 'busy@example.org').map((mail) => mail.messageId)
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(1)
    expect(smtp.received.filter((mail) => mail.to === 'a@example.org')).toHaveLength(1)
    expect(waits[1]!).toBeGreaterThan(waits[0]! * 2)
  })

  test('at most MAIL_MAX_ATTEMPTS tries are made', async () => {
    smtp = await startSmtp({ onMail: () => 451 })
    const clock = forwardClock()
    await startMail({ SMTP_URL: smtp.url, MAIL_MAX_ATTEMPTS: '3' }, { clock })

    await send()
    await until('it is given up', async () => {
      clock.advance(minute / 6)
      return (await accountOf(database.db)).failed === 1
    })

    expect(smtp.received).toHaveLength(3)
  })

  test('a mail is given up when MAIL_MAX_AGE_MS has passed since the first try', async () => {
    smtp = await startSmtp({ onMail: () => 451 })
    const clock = forwardClock()
    await startMail({ SMTP_URL: smtp.url, MAIL_MAX_ATTEMPTS: '50', MAIL_MAX_AGE_MS: String(180 * minute) }, { clock })

    await send()
    await until('it was tried', () => smtp!.received.length === 1)
    await until('the result is stored', async () => (await accountOf(database.db)).pending === 1)
    clock.advance(181 * minute)
    await until('it is given up', async () => (await accountOf(database.db)).failed === 1)

    expect(smtp.received).toHaveLength(1)
  })

  test('5xx is final: kept in the failed list with its status, logged without address and text', async () => {
    smtp = await startSmtp({ onRecipient: (address) => (address.startsWith('gone') ? 550 : 250) })
    const log = await startMail({ SMTP_URL: smtp.url })

    await send({ key: 'gone', to: 'gone@example.org' })
    await send({ key: 'fine' })
    const account = await untilDone(database.db)

    const [failed] = await listFailed(database.db, { limit: 5 })
    const [attempt] = await database.db.rows(sql`SELECT status, answer FROM delivery_attempts WHERE result = 'failed'`)
    const lines = JSON.stringify(log)
    expect(account).toMatchObject({ succeeded: 1, failed: 1 })
    expect(failed).toMatchObject({ attempts: 1, error: 'the mail server answered 550', destination: 'greeting' })
    expect(attempt).toMatchObject({ status: 550, answer: expect.stringContaining('550') as string })
    expect(log.filter((line) => line['msg'] === 'mail given up')).toHaveLength(1)
    expect(lines).not.toContain('gone@example.org')
    expect(lines).not.toContain('secret-of-the-body')
  })

  test('a connection lost after DATA costs at most one more copy, under the same Message-ID', async () => {
    smtp = await startSmtp({ onMail: (_mail, earlier) => (earlier === 0 ? 'drop' : 250) })
    await startMail({ SMTP_URL: smtp.url })

    await send()
    const account = await untilDone(database.db)

    const ids = smtp.received.map((mail) => mail.messageId)
    expect(account).toMatchObject({ succeeded: 1 })
    expect(ids).toHaveLength(2)
    expect(new Set(ids).size).toBe(1)
  })

  test('a server that hangs costs an attempt its time limit and no more', async () => {
    smtp = await startSmtp({ onMail: (_mail, earlier) => (earlier === 0 ? 'hang' : 250) })
    const clock = forwardClock()
    await startMail({ SMTP_URL: smtp.url, MAIL_ATTEMPT_TIMEOUT_MS: '300' }, { clock })

    await send()
    await until(
      'the first try is over',
      async () => (await database.db.rows(sql`SELECT FROM delivery_attempts`)).length === 1,
    )
    clock.advance(10 * minute)
    await untilDone(database.db)

    const attempts = await database.db.rows(sql`SELECT result, error FROM delivery_attempts ORDER BY attempt`)
    expect(attempts).toEqual([
      { result: 'retry', error: 'timed out after 300 ms' },
      { result: 'succeeded', error: null },
    ])
  })

  test('many mails go over few connections, and each arrives once', async () => {
    smtp = await startSmtp()
    await startMail({ SMTP_URL: smtp.url })

    await sendMany(500)
    const account = await untilDone(database.db, 25_000)

    const recipients = new Set(smtp.accepted.map((mail) => mail.to))
    expect(account).toMatchObject({ committed: 500, succeeded: 500 })
    expect(smtp.accepted).toHaveLength(500)
    expect(recipients.size).toBe(500)
    expect(smtp.connections.most).toBeLessThanOrEqual(5)
    expect(smtp.connections.total).toBeLessThan(20)
  })

  test('while the server is away mails wait, with one line in the log; when it is back they go at once', async () => {
    const port = await freePort()
    const log = await startMail({ SMTP_URL: `smtp://127.0.0.1:${port}` })

    await sendMany(50)
    await until('the outage is noticed', () =>
      log.some((line) => line['msg'] === 'mail server is not available, mails wait'),
    )
    await sleep(1_500)
    const during = await accountOf(database.db)
    const tries = await database.db.rows(sql`SELECT FROM delivery_attempts`)
    smtp = await startSmtp({ port })
    const account = await untilDone(database.db, 20_000)

    const warnings = log.filter((line) => (line['level'] as number) >= 40)
    expect(during).toMatchObject({ committed: 50, failed: 0, succeeded: 0 })
    expect(tries.length).toBeLessThanOrEqual(5)
    expect(account).toMatchObject({ succeeded: 50 })
    expect(warnings).toHaveLength(1)
    expect(log.filter((line) => line['msg'] === 'mail server is back, waiting mails are sent')).toHaveLength(1)
  }, 40_000)

  test('an outage that outlived the process ends as soon as the server is back', async () => {
    const { db } = database
    await send()
    await db.run(sql`UPDATE deliveries SET due_at = now() + interval '1 hour', attempts = 3`)
    await db.run(
      sql`INSERT INTO delivery_destinations (kind, destination, paused_until) VALUES ('mail', 'greeting', now())`,
    )
    smtp = await startSmtp()

    await startMail({ SMTP_URL: smtp.url })
    const account = await untilDone(db)

    expect(account).toMatchObject({ succeeded: 1 })
  })

  test('a server that takes connections and never speaks is an outage too', async () => {
    const silentServer = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(silentServer, 'listening')
    const { port } = silentServer.address() as AddressInfo
    await startMail({ SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_ATTEMPT_TIMEOUT_MS: '300' })

    await sendMany(20)
    await until('tries are over', async () => (await database.db.rows(sql`SELECT FROM delivery_attempts`)).length >= 4)
    const account = await accountOf(database.db)
    silentServer.close()

    expect(account).toMatchObject({ committed: 20, failed: 0, succeeded: 0 })
  })
})

describe('what users write', () => {
  test('cannot add headers or recipients through a subject', async () => {
    smtp = await startSmtp()
    await startMail({ SMTP_URL: smtp.url })

    await send({ values: { name: 'Eve\r\nBcc: victim@example.org\r\n\r\n<b>body</b>\u2028X: y' } })
    await untilDone(database.db)

    const [mail] = smtp.accepted
    const head = mail!.raw.slice(0, mail!.raw.indexOf('\r\n\r\n'))
    expect(mail!.to).toBe('a@example.org')
    expect(head).not.toMatch(/^(Bcc|X):/im)
    expect(head).toMatch(/^Subject: /m)
  })

  test.each([
    'a@example.org\r\nBcc: victim@example.org',
    'a@example.org, victim@example.org',
    'a@example.org> RCPT TO:<victim@example.org',
    '"a b"@example.org',
    'not an address',
    '',
  ])('cannot become a recipient: %j', async (to) => {
    smtp = await startSmtp()
    await startMail({ SMTP_URL: smtp.url })

    await send({ to })
    const account = await untilDone(database.db)

    expect(account).toMatchObject({ failed: 1 })
    expect(smtp.connections.total).toBe(0)
    expect(await listFailed(database.db, { limit: 1 })).toMatchObject([
      { attempts: 0, error: 'the recipient is not a mail address' },
    ])
  })

  test('that no template can render, or for which there is none, ends in the failed list', async () => {
    const clock = forwardClock()
    await startMail({}, { clock })

    await send({ key: 'a', values: { name: 'unrenderable' } })
    await send({ key: 'b', template: 'unknown' })
    await until('both are given up', async () => {
      clock.advance(10 * minute)
      return (await accountOf(database.db)).failed === 2
    })

    const errors = (await listFailed(database.db, { limit: 5 })).map((failed) => failed.error)
    expect(errors.toSorted()).toEqual([
      'could not be rendered: no such person',
      'could not be rendered: there is no mail template "unknown"',
    ])
  })
})

describe('without a mail server', () => {
  test('mails are kept as files that a person can read, with an index, and once each', async () => {
    await startMail({})

    await send({ key: 'a', to: 'a@example.org' })
    await send({ key: 'b', to: 'b@example.org', values: { name: 'Zoë' } })
    await untilDone(database.db)

    const folder = join(dataDir, 'mailbox')
    const entries = await listMailbox(folder, 10)
    const text = await readFile(join(folder, entries.find((entry) => entry.to === 'a@example.org')!.file), 'utf8')
    expect(entries.map((entry) => `${entry.to}: ${entry.subject}`).toSorted()).toEqual([
      'a@example.org: Hello Ada',
      'b@example.org: Hello Zoë',
    ])
    expect(text).toContain('Subject: Hello Ada')
    expect(text).toContain('secret-of-the-body')
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
