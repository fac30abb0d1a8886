import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import pg from 'pg'
import { pino } from 'pino'

import { createDb } from '../../src/platform/db/db.ts'
import { migrate } from '../../src/platform/db/migrate.ts'

export const migrationsFolder = join(import.meta.dirname, '../../migrations')
const TEMPLATE_LOCK = 7_236_514_002

/** Makes the migrated database that every test file clones, named after the migrations' content, and returns its name. */
export async function prepareTemplate(serverUrl: string): Promise<string> {
  const name = `souk_template_${await migrationsHash()}`
  await withClient(serverUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [name])
    if (found.rowCount === 1) return
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${name}`)
    const log = pino({ level: 'silent' })
    const db = createDb({ url: databaseUrl(serverUrl, name), poolSize: 2, applicationName: 'souk template', log })
    try {
      await migrate(db, migrationsFolder, log)
    } finally {
      await db.close()
    }
    await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true`)
  })
  return name
}

/** Removes the templates of older migrations from a server that is kept between runs. */
export async function dropTemplates(serverUrl: string, except: string): Promise<void> {
  await withClient(serverUrl, async (client) => {
    const old = await client.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datistemplate AND datname LIKE 'souk_template_%' AND datname <> $1`,
      [except],
    )
    for (const { datname } of old.rows) {
      await client.query(`ALTER DATABASE ${datname} IS_TEMPLATE false`)
      await client.query(`DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`)
    }
  })
}

/** The same server, another database. */
export function databaseUrl(serverUrl: string, name: string): string {
  // Addresses of Unix sockets have an empty host, which URL does not take; only the path before the query is replaced.
  return serverUrl.replace(/^(postgres(?:ql)?:\/\/[^/]*)\/[^?]*/, `$1/${name}`)
}

export async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

async function migrationsHash(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(migrationsFolder)).toSorted()) {
    hash.update(name).update(await readFile(join(migrationsFolder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}
