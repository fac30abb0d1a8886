import { randomUUID } from 'node:crypto'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Account } from './account.ts'
import { APP_ROLE, type Cluster } from './cluster.ts'
import { EmbeddedPostgresError } from './errors.ts'

/** The name of the socket is made of it; no network port is opened. */
export const PORT = 5432
const SOCKET_NAME = `.s.PGSQL.${PORT}`
/** unix(7): 108 bytes with the closing zero; 104 on macOS. */
const MAX_SOCKET_PATH = process.platform === 'darwin' ? 103 : 107

export interface SocketFolder {
  /** Absolute path, for clients. */
  folder: string
  /** The value of `unix_socket_directories`. */
  setting: string
  remove(): Promise<void>
}

/**
 * A folder that only the account can enter: that of the database files. When its path is too long for a socket, or it is on a file system
 * without sockets (folders shared into a virtual machine), a new private folder among the temporary files.
 */
export async function openSocketFolder(cluster: Cluster): Promise<SocketFolder> {
  if (await canHoldSocket(cluster.folder)) {
    return { folder: cluster.folder, setting: '.', remove: () => Promise.resolve() }
  }
  for (const parent of new Set([tmpdir(), '/tmp'])) {
    const folder = await createPrivateFolder(parent, cluster.account)
    if (folder === undefined) continue
    const remove = () => rm(folder, { recursive: true, force: true })
    if (await canHoldSocket(folder)) return { folder, setting: `"${folder.replaceAll('"', '""')}"`, remove }
    await remove()
  }
  throw new EmbeddedPostgresError(
    `There is no place for the socket of the database: the path ${cluster.folder} is too long or cannot hold one, and ${tmpdir()} neither. ` +
      'Set DATA_DIR to a shorter path.',
  )
}

async function createPrivateFolder(parent: string, account: Account): Promise<string | undefined> {
  try {
    const folder = await mkdtemp(join(parent, 'souk-'))
    if (account.switched) await chown(folder, account.uid, account.gid)
    return folder
  } catch {
    // Read-only or missing: the next parent may do, and if none does the caller says so.
    return undefined
  }
}

async function canHoldSocket(folder: string): Promise<boolean> {
  if (Buffer.byteLength(join(folder, SOCKET_NAME)) > MAX_SOCKET_PATH) return false
  const path = join(folder, `.s.${randomUUID().slice(0, 8)}`)
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    // Closing removes the file.
    server.listen(path, () => server.close(() => done(true)))
  })
}

/** The form that both our driver and `psql` understand. */
export function databaseUrl(socketFolder: string, role = APP_ROLE, database = role): string {
  return `postgresql://${role}@localhost:${PORT}/${database}?host=${encodeURIComponent(socketFolder)}`
}
