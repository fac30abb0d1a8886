import { pino } from 'pino'
import { expect, inject, it } from 'vitest'

import { note, startChangeLog, until, type TestLog } from '../../test/support/changes.ts'
import { createTestDatabase } from '../../test/support/database.ts'
import { withClient } from '../../test/support/template.ts'
import { createDb, type Db } from '../platform/db/db.ts'
import type { Change, Subscriber } from './index.ts'

const open = (url: string): Db =>
  createDb({ url, poolSize: 4, applicationName: 'souk test', log: pino({ level: 'silent' }) })

async function write(db: Db, ...texts: string[]): Promise<void> {
  for (const text of texts) await note(db, text)
}

/** While the process is away, the database is replaced by an older copy of itself, which another process has brought past where it stood. */
it('gives subscribers all that they missed when the log was replaced by an older copy that has gone on', async () => {
  const original = await createTestDatabase()
  const name = new URL(original.url).pathname.slice(1)
  const heard: string[] = []
  const subscriber: Subscriber = {
    name: 'test',
    topics: ['test.note.*'],
    mode: 'batch',
    handle: (_tx, changes: readonly Change[]) =>
      Promise.resolve(void heard.push(...changes.map((change) => (change.data as { text: string }).text))),
  }
  const log = await startChangeLog(original.db)
  await log.run(subscriber, { ...subscriber, name: 'of nothing', topics: ['test.other.*'] })
  await write(original.db, 'a', 'b')
  await log.drain()
  const copied = await copyOf(original, name, log)
  heard.length = 0

  const db = open(original.url)
  const worker = await startChangeLog(db)
  await worker.run(subscriber, { ...subscriber, name: 'of nothing', topics: ['test.other.*'] })
  await write(db, 'lost 1', 'lost 2', 'lost 3')
  await worker.drain()
  const other = open(copied)
  const otherLog = await startChangeLog(other)
  await write(other, 'c', 'd', 'e', 'f', 'g')
  await otherLog.drain()
  await otherLog.stop()
  await other.close()
  await exchange(name)
  await until('the worker hears of the other log', () => heard.includes('g'))
  await note(db, 'h')
  await worker.drain()
  const { position } = await worker.changeLog.head()
  await worker.stop()
  await db.close()
  await run(`DROP DATABASE ${name} WITH (FORCE)`)

  expect(heard).toEqual(['lost 1', 'lost 2', 'lost 3', 'c', 'd', 'e', 'f', 'g', 'h'])
  expect(position).toBe(8)
})

/** Stops what runs on the database, copies it, and returns where the copy is. */
async function copyOf(original: { db: Db; url: string }, name: string, log: TestLog): Promise<string> {
  await log.stop()
  await original.db.close()
  await run(`CREATE DATABASE ${name}_copy TEMPLATE ${name}`)
  return original.url.replace(name, `${name}_copy`)
}

async function run(statement: string): Promise<void> {
  await withClient(inject('databaseUrl'), async (client) => void (await client.query(statement)))
}

async function exchange(name: string): Promise<void> {
  await withClient(inject('databaseUrl'), async (client) => {
    await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
    await until('nobody is connected any more', async () => {
      const { rows } = await client.query('SELECT FROM pg_stat_activity WHERE datname = $1', [name])
      return rows.length === 0
    })
    await client.query(`ALTER DATABASE ${name} RENAME TO ${name}_gone`)
    await client.query(`ALTER DATABASE ${name}_copy RENAME TO ${name}`)
    await client.query(`DROP DATABASE ${name}_gone`)
  })
}
