import { execFile } from 'node:child_process'
import { chown, lchown, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { dataFolderError } from '../../data-folder.ts'
import { spawnAs, type Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { EmbeddedPostgresError, explainOutput } from './errors.ts'

export const APP_ROLE = 'souk'
export const SUPERUSER = 'postgres'

/** Database files of one server: PostgreSQL calls that a cluster. */
export interface Cluster {
  dataDir: string
  folder: string
  logFile: string
  account: Account
  binaries: Binaries
  durable: boolean
}

/** What goes into postgresql.conf of a new cluster, where an operator may change it. */
const SETTINGS = {
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
  log_checkpoints: 'off',
} as const

/**
 * How to name the folder to PostgreSQL. It is started in the folder, and this name of it works for an account that could not walk there
 * (data below the home of root). Other systems need a path.
 */
export function folderArgument(cluster: Cluster): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : cluster.folder
}

/** Programs of PostgreSQL get nothing of our environment: no secret, no locale, no library path. */
export const SERVER_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' }

/** Makes sure that there is a database; true when it was made now. A half-made one of an earlier start is thrown away. */
export async function ensureCluster(cluster: Cluster, signal: AbortSignal | undefined): Promise<boolean> {
  const draft = `${cluster.folder}.new`
  try {
    await rm(draft, { recursive: true, force: true })
    const exists = await isCluster(cluster.folder)
    if (!exists) await createCluster(cluster, draft, signal)
    else await adoptOwnership(cluster)
    // As root we write into the folder of a lesser account only before its server has ever run.
    if (!cluster.account.switched) await writeAccessRules(cluster.folder, cluster.account)
    return !exists
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined)
    throw await dataFolderError(error, cluster.dataDir)
  }
}

async function isCluster(folder: string): Promise<boolean> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  if (entries.length > 0 && !entries.includes('PG_VERSION')) {
    throw new EmbeddedPostgresError(
      `${folder} holds something else than a database. Move it away, or set DATA_DIR to another folder.`,
    )
  }
  return entries.length > 0
}

async function createCluster(cluster: Cluster, draft: string, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(draft, { mode: 0o700 })
  if (cluster.account.switched) await chown(draft, cluster.account.uid, cluster.account.gid)
  await runInitdb(cluster, draft, signal)
  await writeAccessRules(draft, cluster.account)
  await rename(draft, cluster.folder)
  await syncFolder(dirname(cluster.folder))
}

async function runInitdb(cluster: Cluster, draft: string, signal: AbortSignal | undefined): Promise<void> {
  const { account } = cluster
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const args = [
    `--pgdata=${folderArgument({ ...cluster, folder: draft })}`,
    `--username=${SUPERUSER}`,
    '--auth=peer',
    '--encoding=UTF8',
    // Sorting and letter case by Unicode code point, built into PostgreSQL: the same on every system, and upgrades of it change no index.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-instructions',
    ...(cluster.durable ? [] : ['--no-sync']),
    ...settings,
  ]
  await new Promise<void>((done, fail) => {
    const options = { cwd: draft, env: SERVER_ENVIRONMENT, ...spawnAs(account), ...(signal && { signal }) }
    execFile(cluster.binaries.initdb, args, options, (error, stdout, stderr) => {
      if (error === null) done()
      else if (signal?.aborted) fail(error)
      else if (error.code === 'EPERM') fail(cannotSwitch(account, error))
      else fail(explainOutput(`${stdout}\n${stderr || error.message}`, cluster))
    })
  })
}

export function cannotSwitch(account: Account, cause: Error): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    `PostgreSQL refuses to run as root, and this process may not start it as ${account.name ?? account.uid}. ` +
      'Start Souk with an ordinary account, or set DATABASE_URL.',
    { cause },
  )
}

/**
 * Who may connect: root and the account of the server, as told by the kernel (peer), through the socket, with no password to keep or
 * check. Nobody else, and nothing over the network.
 */
async function writeAccessRules(folder: string, account: Account): Promise<void> {
  const names = new Set(['root', ...(account.switched || account.name === undefined ? [] : [account.name])])
  const map = [...names].flatMap((name) => [APP_ROLE, SUPERUSER].map((role) => `souk ${quoted(name)} ${role}\n`))
  const options = { mode: 0o600 }
  await writeFile(join(folder, 'pg_hba.conf'), `local all ${APP_ROLE},${SUPERUSER} peer map=souk\n`, options)
  await writeFile(join(folder, 'pg_ident.conf'), map.join(''), options)
}

/** An account may be called `DOMAIN\\ana maria`. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A folder that root restored from a backup belongs to root, and PostgreSQL refuses folders of others. */
async function adoptOwnership(cluster: Cluster): Promise<void> {
  const { account } = cluster
  if (!account.switched || (await stat(cluster.folder)).uid === account.uid) return
  const entries = await readdir(cluster.folder, { recursive: true, withFileTypes: true })
  for (const entry of entries) await lchown(join(entry.parentPath, entry.name), account.uid, account.gid)
  await chown(cluster.folder, account.uid, account.gid)
}

/** Until the folder itself is on disk, a power cut may take the new name away. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
