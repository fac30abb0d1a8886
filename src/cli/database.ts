import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from '../platform/config.ts'
import { createDb, type Db } from '../platform/db/db.ts'
import { checkReachable, findEmbeddedPostgres, startEmbeddedPostgres } from '../platform/db/embedded.ts'
import { migrate } from '../platform/db/migrate.ts'
import type { Logger } from '../platform/log.ts'
import { capturedRows } from '../stream/index.ts'
import { UsageError } from './command.ts'

export interface OpenDatabase {
  db: Db
  url: string
  isEmbedded: boolean
  /** Names of the migrations applied just now. */
  applied: string[]
  close(): Promise<void>
}

/**
 * Opens the database of the settings and migrates it: the server at DATABASE_URL, or the embedded one in the data folder.
 * With `mayShare` an embedded one that another process runs is used beside it. Throws UsageError with a sentence a person can act on.
 */
export async function openDatabase(
  config: Config,
  log: Logger,
  options: { mayShare?: boolean } = {},
): Promise<OpenDatabase> {
  const server = await openServer(config, log, options.mayShare ?? false)
  const db = createDb({
    url: server.url,
    settings: capturedRows(config),
    poolSize: config.databasePoolSize,
    applicationName: 'souk',
    log,
  })
  try {
    const applied = await migrate(db, migrationsFolder(), log)
    return {
      db,
      url: server.url,
      isEmbedded: config.databaseUrl === undefined,
      applied,
      close: () => closeAll(db, server),
    }
  } catch (error) {
    await closeAll(db, server)
    throw new UsageError(`The database schema could not be brought up to date: ${(error as Error).message}`)
  }
}

interface Server {
  url: string
  stop(): Promise<void>
}

async function openServer(config: Config, log: Logger, mayShare: boolean): Promise<Server> {
  try {
    if (config.databaseUrl === undefined) {
      const shared = mayShare ? await findEmbeddedPostgres(config.dataDir) : undefined
      if (shared !== undefined) return { url: shared, stop: async () => undefined }
      return await startEmbeddedPostgres({ dataDir: config.dataDir, log })
    }
    await checkReachable(config.databaseUrl)
    return { url: config.databaseUrl, stop: async () => undefined }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

async function closeAll(db: Db, server: Server): Promise<void> {
  await db.close()
  await server.stop()
}

/** Beside package.json, whether the code runs from `dist/` or from `src/`. */
function migrationsFolder(): string {
  const candidates = [join(import.meta.dirname, '../migrations'), join(import.meta.dirname, '../../migrations')]
  return candidates.find((folder) => existsSync(folder)) ?? candidates[0]!
}
