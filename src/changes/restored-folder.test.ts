import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { expect, it } from 'vitest'

import { startChangeLog } from '../../test/support/changes.ts'
import { migrationsFolder } from '../../test/support/template.ts'
import { createDb } from '../platform/db/db.ts'
import { startEmbeddedPostgres } from '../platform/db/embedded.ts'
import { migrate } from '../platform/db/migrate.ts'

const log = pino({ level: 'silent' })

/** The epoch that a server on this folder tells. */
async function epochOf(dataDir: string): Promise<string> {
  const server = await startEmbeddedPostgres({ dataDir, log, durable: false })
  const db = createDb({ url: server.url, poolSize: 4, applicationName: 'souk folder test', log })
  try {
    await migrate(db, migrationsFolder, log)
    const running = await startChangeLog(db)
    const { epoch } = await running.changeLog.head()
    await running.stop()
    return epoch
  } finally {
    await db.close()
    await server.stop()
  }
}

it('keeps its epoch when the embedded database starts again, and takes a new one in a folder copied back', async () => {
  const root = await mkdtemp(join(tmpdir(), 'souk-restored-'))
  const dataDir = join(root, 'data')

  const first = await epochOf(dataDir)
  const again = await epochOf(dataDir)
  await cp(dataDir, join(root, 'copy'), { recursive: true, preserveTimestamps: true })
  const copied = await epochOf(join(root, 'copy'))
  await rm(root, { recursive: true, force: true })

  expect(again).toBe(first)
  expect(copied).not.toBe(first)
}, 60_000)
