import type pg from 'pg'

import type { Db } from '../../../platform/db/db.ts'
import { raw, sql } from '../../../platform/db/sql.ts'

/** Class of the advisory locks whose second number is made of the import; any fixed number. */
const IMPORT_LOCK = 723_653

/**
 * Locks that die with this process: who works on an import holds its lock, so that others need not wait for the end of its lease to know
 * that it is gone. A lock is a hint and the token of the lease the fence: losing the connection stops nobody who still holds the lease.
 */
export interface LeaseLocks {
  /** False when another process holds the lock. Holding what is held already changes nothing. */
  hold(importId: string): Promise<boolean>
  release(importId: string): Promise<void>
  close(): Promise<void>
}

/** Opens a connection of its own at the first lock, and another one when that is lost; its locks are then to be held again. */
export function createLeaseLocks(db: Db): LeaseLocks {
  let opened: Promise<pg.Client> | undefined
  const held = new Set<string>()

  function forget(): void {
    opened = undefined
    held.clear()
  }

  async function open(): Promise<pg.Client> {
    const client = await db.connect('souk import lease')
    client.on('error', () => undefined)
    client.on('end', forget)
    return client
  }

  async function connection(): Promise<pg.Client> {
    opened ??= open()
    // Shared by those who wait for it; after a failure the next one tries again.
    return opened.catch((error: unknown) => {
      forget()
      throw error
    })
  }

  return {
    async hold(importId) {
      if (held.has(importId)) return true
      const client = await connection()
      const text = 'SELECT pg_try_advisory_lock($1, hashtext($2)) AS held'
      const { rows } = await client.query<{ held: boolean }>(text, [IMPORT_LOCK, importId])
      if (rows[0]?.held !== true) return false
      held.add(importId)
      return true
    },
    async release(importId) {
      if (!held.delete(importId)) return
      const client = await connection()
      await client.query('SELECT pg_advisory_unlock($1, hashtext($2))', [IMPORT_LOCK, importId])
    },
    close: async () => {
      const client = await opened?.catch(() => undefined)
      await client?.end()
    },
  }
}

/** Condition on a row of imports: nobody holds its lock. */
export const lockIsFree = sql`NOT EXISTS (
  SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = ${raw(String(IMPORT_LOCK))}
    AND l.objid = (hashtext(imports.id::text)::bigint & 4294967295)::oid AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`
