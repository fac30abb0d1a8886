import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts'
import {
  accountOf,
  emptyDelivery,
  queue,
  startWorker,
  testKind,
  until,
  untilDone,
} from '../../test/support/delivery.ts'
import { startSmtp, type FakeSmtp } from '../../test/support/smtp.ts'
import { sql } from '../platform/db/sql.ts'
import { claim } from './claim-queries.ts'
import { openConnection } from './connection.ts'
import { queueMails, type Delivery } from './index.ts'
import { insertWorker } from './lease-queries.ts'
import { storeResults, type Result } from './result-queries.ts'

const child = join(import.meta.dirname, '../../test/support/delivery-child.ts')

let database: TestDatabase
let dataDir: string
let smtp: FakeSmtp
const children: ChildProcess[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  dataDir = await mkdtemp(join(tmpdir(), 'souk-delivery-'))
})
afterAll(async () => {
  await database.drop()
  await rm(dataDir, { recursive: true, force: true })
})
beforeEach(async () => {
  await emptyDelivery(database.db)
  smtp = await startSmtp()
})
afterEach(async () => {
  for (const process of children.splice(0)) process.kill('SIGKILL')
  await smtp.close()
})

async function startChild(smtpUrl: string, options: { leaseMs?: number; fault?: string } = {}): Promise<ChildProcess> {
  const args = ['--import', 'tsx', child, JSON.stringify({ url: database.url, smtpUrl, dataDir, ...options })]
  const process = spawn(globalThis.process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(process)
  await Promise.race([once(process.stdout, 'data'), once(process, 'exit')])
  return process
}

function queueNumbered(count: number, prefix = 'mail'): Promise<void> {
  const mails = Array.from({ length: count }, (_, n) => ({
    key: `${prefix}-${n}`,
    template: 'numbered',
    to: 'admin@example.org',
    values: { n },
  }))
  return database.db.transaction((tx) => queueMails(tx, mails))
}

/** How often each Message-ID came in. */
function arrivals(): Map<string, number> {
  const times = new Map<string, number>()
  for (const mail of smtp.accepted) times.set(mail.messageId, (times.get(mail.messageId) ?? 0) + 1)
  return times
}

const slots = 4

test.each(['after-claim:2', 'after-render:2', 'before-send:10', 'after-send-before-mark:10', 'after-mark:3'])(
  'a worker killed at %s loses no mail, invents none, and sends at most those in flight twice, under the same Message-ID',
  async (fault) => {
    await queueNumbered(60)

    const first = await startChild(smtp.url, { leaseMs: 1_000, fault })
    await until('the fault was met', () => first.signalCode === 'SIGKILL' || first.exitCode !== null)
    await startChild(smtp.url, { leaseMs: 1_000 })
    const account = await untilDone(database.db, 25_000)

    const times = [...arrivals().values()]
    expect(first.signalCode).toBe('SIGKILL')
    expect(account).toMatchObject({ committed: 60, succeeded: 60, failed: 0 })
    expect(times).toHaveLength(60)
    expect(smtp.accepted.length - 60).toBeLessThanOrEqual(slots)
    expect(Math.max(...times)).toBeLessThanOrEqual(2)
  },
  60_000,
)

test('workers killed again and again at random moments lose nothing', async () => {
  const kills = Number(process.env.DELIVERY_KILLS ?? 6)
  const mails = kills * 200
  await queueNumbered(mails)

  for (let n = 0; n < kills; n++) {
    const worker = await startChild(smtp.url, { leaseMs: 1_000 })
    await sleep(30 + Math.random() * 120)
    worker.kill('SIGKILL')
    await once(worker, 'exit')
    await accountOf(database.db)
  }
  await startChild(smtp.url, { leaseMs: 1_000 })
  const account = await untilDone(database.db, 40_000)

  const times = arrivals()
  expect(account).toMatchObject({ committed: mails, succeeded: mails })
  expect(times.size).toBe(mails)
  expect(smtp.accepted.length - mails).toBeLessThanOrEqual(kills * slots)
}, 180_000)

test('the work of a killed worker is taken over within seconds, and the loss is in the attempt log', async () => {
  const { db } = database
  const hanging = await startSmtp({ onMail: () => 'hang' })
  const first = await startChild(hanging.url)
  await queueNumbered(1)
  await until('the mail is under way', () => hanging.received.length === 1)

  first.kill('SIGKILL')
  await once(first, 'exit')
  const killed = performance.now()
  await startChild(smtp.url)
  await until('the mail has arrived', () => smtp.accepted.length === 1, 20_000)
  const took = performance.now() - killed
  await untilDone(db)
  await hanging.close()

  const attempts = await db.rows<{ result: string }>(sql`SELECT result FROM delivery_attempts ORDER BY started_at`)
  // A lease of 5 s, noticed within a second, and the start of the second process.
  expect(took).toBeLessThan(10_000)
  expect(smtp.accepted[0]!.messageId).toBe(hanging.received[0]!.messageId)
  expect(attempts.map((row) => row.result)).toEqual(['lost', 'succeeded'])
}, 40_000)

test('a result under an old lease is refused and only logged', async () => {
  const { db } = database
  const connection = openConnection(db, 'souk delivery test')
  const worker = '00000000-0000-7000-8000-000000000001'
  await insertWorker(connection.rows, worker, 60_000)
  await queue(db, [{}])
  const request = { kind: 'test', destination: 'one', limit: 1, after: undefined }
  const [first] = await claim(connection.rows, worker, [request], new Date())
  await db.run(sql`UPDATE deliveries SET state = 'ready', worker = NULL`)
  const [second] = await claim(connection.rows, worker, [request], new Date())
  const store = (delivery: Delivery) =>
    storeResults(connection.rows, [succeeded(delivery)], { now: new Date(), withAttempts: true })

  const late = await store(first!)
  const afterLate = await accountOf(db)
  const inTime = await store(second!)
  const twice = await store(second!)
  await connection.close()

  const attempts = await db.rows(sql`SELECT is_refused FROM delivery_attempts ORDER BY is_refused`)
  expect(second!.lease).toBeGreaterThan(first!.lease)
  expect([late.size, inTime.size, twice.size]).toEqual([0, 1, 0])
  expect(afterLate).toMatchObject({ leased: 1, succeeded: 0 })
  expect(await accountOf(db)).toMatchObject({ committed: 1, succeeded: 1 })
  expect(attempts).toEqual([{ is_refused: false }, { is_refused: true }, { is_refused: true }])
})

test('a worker that was taken for dead stops what it does, and goes on under a new lease', async () => {
  const { db } = database
  const aborted: string[] = []
  const sent: string[] = []
  let isSlow = true
  const kind = testKind({
    deliver: async (delivery, _attempt, signal) => {
      if (isSlow) {
        isSlow = false
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        aborted.push(delivery.id)
        return { result: 'retry', error: 'aborted' }
      }
      sent.push(delivery.id)
      return { result: 'succeeded' }
    },
  })
  const worker = await startWorker(db, kind, { leaseMs: 500 })
  await queue(db, [{}])
  await until('it is under way', async () => (await accountOf(db)).leased === 1)

  await db.run(sql`UPDATE delivery_workers SET alive_until = now() - interval '1 second'`)
  const other = await startWorker(db, kind, { leaseMs: 500 })
  const account = await untilDone(db)
  await worker.stop()
  await other.stop()

  expect(aborted).toEqual(sent)
  expect(account).toMatchObject({ committed: 1, succeeded: 1 })
})

function succeeded(delivery: Delivery): Result {
  return {
    delivery,
    result: 'succeeded',
    error: null,
    delayMs: 0,
    pauseMs: 0,
    keepsPayload: false,
    isAttempt: true,
    startedAt: new Date().toISOString(),
    durationMs: 1,
    status: 250,
    answer: null,
    isCut: false,
    timings: null,
  }
}
