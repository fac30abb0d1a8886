import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Logger } from '../log.ts'
import type { Db } from './db.ts'

/** Any fixed number, the same in every process: whoever migrates holds it, the others wait. */
const MIGRATION_LOCK = 7_236_514_001
const MIN_SERVER_VERSION = 150_000

interface Migration {
  name: string
  text: string
  checksum: string
}

/**
 * Brings the schema to the newest migration and returns the names applied now. Several processes may call it at once: one works, the
 * others wait and find nothing to do. Refuses a server older than PostgreSQL 15 and a migration that was edited after it was applied.
 */
export async function migrate(db: Db, folder: string, log: Logger): Promise<string[]> {
  const migrations = await readMigrations(folder)
  const client = await db.connect('souk migrate')
  try {
    await requireServerVersion(client)
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const applied = await client.query<{ name: string; checksum: string }>('SELECT name, checksum FROM migrations')
    const known = new Map(applied.rows.map((row) => [row.name, row.checksum]))
    const pending = migrations.filter((migration) => !isApplied(migration, known))
    for (const migration of pending) {
      await client.query('BEGIN')
      await client.query(migration.text)
      await client.query('INSERT INTO migrations (name, checksum) VALUES ($1, $2)', [
        migration.name,
        migration.checksum,
      ])
      await client.query('COMMIT')
      log.info({ migration: migration.name }, 'migration applied')
    }
    return pending.map((migration) => migration.name)
  } finally {
    await client.end()
  }
}

function isApplied(migration: Migration, known: Map<string, string>): boolean {
  const checksum = known.get(migration.name)
  if (checksum === undefined) return false
  if (checksum === migration.checksum) return true
  throw new Error(`migration ${migration.name} was changed after it was applied; add a new one instead`)
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).toSorted()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(folder, name), 'utf8')
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
    }),
  )
}

async function requireServerVersion(client: { query(text: string): Promise<{ rows: unknown[] }> }): Promise<void> {
  const result = await client.query('SHOW server_version_num')
  const version = Number((result.rows[0] as { server_version_num: string }).server_version_num)
  if (version >= MIN_SERVER_VERSION) return
  throw new Error(`Souk needs PostgreSQL 15 or newer; the server at DATABASE_URL is ${Math.floor(version / 10_000)}.`)
}
