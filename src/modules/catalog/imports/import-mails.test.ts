import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { startTestApp, type TestApp, type TestUser } from '../../../../test/support/app.ts'
import type { Change } from '../../../changes/index.ts'
import { sql } from '../../../platform/db/sql.ts'
import { newId } from '../../../platform/ids.ts'
import { importMailSubscriber } from './import-mails.ts'
import { endImport, insertImport, saveCheckpoint, type Ending } from './import-queries.ts'

const NOW = '2026-01-31T09:15:02.123456Z'

let server: TestApp
let seller: TestUser
let admin: TestUser

beforeAll(async () => {
  server = await startTestApp()
  seller = await server.signUp()
  admin = await server.staff({ superuser: true })
})

afterAll(async () => {
  await server.close()
})

/** An import that has ended, and the change that says so. */
async function endedImport(ending: Ending, dryRun = false): Promise<Change> {
  const id = newId()
  await server.db.transaction(async (tx) => {
    const who = { ownerId: seller.userId, username: 'seller <b>', email: seller.email, fileName: 'feed.xml' }
    const kind = {
      mode: 'create',
      dryRun,
      isCompressed: false,
      isChecked: false,
      bytesTotal: 9,
      requestedAt: NOW,
    } as const
    await insertImport(tx, { id, ...who, ...kind })
    await saveCheckpoint(tx, id, {
      itemsRead: 203,
      bytesRead: 9,
      created: 1,
      updated: 0,
      unchanged: 0,
      problems: 2,
      existing: Array.from({ length: 101 }, (_, n) => `e${n}`),
      problematic: 2,
      problematicIds: ['p1'],
    })
    await endImport(tx, id, ending, NOW)
  })
  const topic = `catalog.import.${ending.state}`
  const envelope = { position: 1, key: `import:${id}`, actor: seller.userId, audience: [], data: {}, time: NOW }
  return { id: newId(), topic, subject: { type: 'import', id }, ...envelope }
}

async function handleTwice(changes: Change[]): Promise<void> {
  await server.db.transaction((tx) => importMailSubscriber.handle(tx, changes))
  await server.db.transaction((tx) => importMailSubscriber.handle(tx, changes))
}

async function mailbox(): Promise<string[]> {
  const folder = join(server.dataDir, 'mailbox')
  while ((await server.db.rows(sql`SELECT 1 FROM deliveries`)).length > 0) await wait(20)
  const names = await readdir(folder, { recursive: true })
  return Promise.all(names.filter((name) => name.endsWith('.eml')).map((name) => readMail(join(folder, name))))
}

/** Long lines of a mail are cut with `=` at their end (RFC 2045, section 6.7). */
async function readMail(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).replaceAll('=\r\n', '')
}

it('mails each admin one summary per import, however often it runs, and none of a dry run', async () => {
  const succeeded = await endedImport({ state: 'succeeded' })
  const failed = await endedImport({ state: 'failed', error: 'unclosed tag: rss', line: 3, column: 7 })
  const cancelled = await endedImport({ state: 'cancelled' })
  const dry = await endedImport({ state: 'succeeded' }, true)

  await handleTwice([succeeded, failed, cancelled, dry])

  const mails = await mailbox()
  expect(mails.filter((mail) => mail.includes(admin.email))).toHaveLength(3)
  const success = mails.find((mail) => mail.includes('Subject: Product Upload Successful'))
  expect(success).toContain('Created: 1')
  expect(success).toMatch(/Existing Product IDs: e0, e1,/)
  expect(success).toMatch(/and 1\s+more/)
  expect(success).toMatch(/Problematic Product IDs: p1<[\s\S]*Items without an id: 1</)
  expect(success).toContain('seller &lt;b&gt;')
  const failure = mails.find((mail) => mail.includes('Subject: Product Upload Failed'))
  expect(failure).toContain('unclosed tag: rss (line 3, column 7)')
  expect(mails.some((mail) => mail.includes('Subject: Product Upload Cancelled'))).toBe(true)
})
