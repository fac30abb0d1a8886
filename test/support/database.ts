import { randomBytes } from 'node:crypto'

import type pg from 'pg'
import { pino } from 'pino'
import { inject } from 'vitest'

import { createDb, errorCode, type ConnectionSettings, type Db } from '../../src/platform/db/db.ts'
import { databaseUrl, withClient } from './template.ts'

export interface TestDatabase {
  db: Db
  url: string
  drop(): Promise<void>
}

/** A migrated database of its own for one test file, cloned from the template; `drop` in `afterAll`. */
export async function createTestDatabase(
  options: {
    poolSize?: number
    settings?: ConnectionSettings
    onStatement?: (text: string, values: unknown[]) => void
  } = {},
): Promise<TestDatabase> {
  const serverUrl = inject('databaseUrl')
  const name = `souk_test_${randomBytes(6).toString('hex')}`
  await withClient(serverUrl, async (client) => {
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${inject('templateName')} STRATEGY WAL_LOG`)
  })
  const url = databaseUrl(serverUrl, name)
  const db = createDb({
    url,
    poolSize: options.poolSize ?? 10,
    applicationName: 'souk test',
    log: pino({ level: 'silent' }),
    settings: options.settings ?? {},
    ...(options.onStatement === undefined ? {} : { onStatement: options.onStatement }),
  })
  return {
    db,
    url,
    drop: async () => {
      await db.close()
      await withClient(serverUrl, (client) => dropDatabase(client, name))
    },
  }
}

const DROP_TRIES = 50
const DROP_PAUSE_MS = 100

/** An autovacuum worker in the database may only be ended by a superuser, or by a DROP without FORCE, which minds other connections. */
async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const force = tries % 2 === 1 ? ' WITH (FORCE)' : ''
    try {
      await client.query(`DROP DATABASE IF EXISTS ${name}${force}`)
      return
    } catch (error) {
      const isPassing = ['42501', '55006'].includes(errorCode(error) ?? '')
      if (!isPassing || tries === DROP_TRIES) throw error
      await new Promise((resolve) => setTimeout(resolve, DROP_PAUSE_MS))
    }
  }
}
