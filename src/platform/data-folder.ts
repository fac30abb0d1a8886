import { randomUUID } from 'node:crypto'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

/** Why the data folder cannot be used, as a sentence for the person who started the server. */
export class DataFolderError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'DataFolderError'
  }
}

/** A file system may accept an empty file when it is full, so the probe has content of one block. */
const PROBE_BYTES = 4096

/**
 * Makes sure that the folder exists and can be written, and returns its absolute path. A new one is readable by its owner only; the
 * permissions of an existing one are left alone. Throws a DataFolderError that says what is wrong.
 */
export async function openDataFolder(path: string): Promise<string> {
  const folder = resolve(path)
  try {
    await makeFolder(folder)
    await probe(folder)
    return folder
  } catch (error) {
    throw await dataFolderError(error, folder)
  }
}

/** Step by step, because the recursive form of `mkdir` says ENOENT whatever the reason is. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await mkdir(folder, { mode: 0o700 }).catch((again: unknown) => {
      if (codeOf(again) !== 'EEXIST') throw again
    })
  }
}

async function probe(folder: string): Promise<void> {
  const file = join(folder, `.write-test-${randomUUID()}`)
  try {
    await writeFile(file, Buffer.alloc(PROBE_BYTES), { flag: 'wx', mode: 0o600 })
  } finally {
    await rm(file, { force: true })
  }
}

/** Turns a failed file operation below the data folder into a DataFolderError; any other error is returned as it is. */
export async function dataFolderError(error: unknown, folder: string): Promise<unknown> {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new DataFolderError(diskFullSentence(folder), { cause: error })
    case 'EROFS':
      return new DataFolderError(readOnlySentence(folder), { cause: error })
    case 'EEXIST':
    case 'ENOTDIR':
      return new DataFolderError(`The data folder ${folder} is not a directory. Set DATA_DIR to a directory.`, {
        cause: error,
      })
    case 'ENOENT':
      return new DataFolderError(`The data folder ${folder} is a link that leads nowhere.`, { cause: error })
    case 'EACCES':
    case 'EPERM':
      return new DataFolderError(await deniedSentence(folder), { cause: error })
    default:
      return error
  }
}

export function diskFullSentence(folder: string): string {
  return `The disk that holds the data folder ${folder} is full. Free some space and start again.`
}

export function readOnlySentence(folder: string): string {
  return `The data folder ${folder} is on a read-only file system. Set DATA_DIR to a directory that can be written.`
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

async function deniedSentence(folder: string): Promise<string> {
  const owner = await stat(folder).catch(() => undefined)
  const whose = owner === undefined ? '' : ` It belongs to the account with uid ${owner.uid}.`
  const self = process.geteuid?.()
  const who = self === undefined ? 'this account' : `this account (uid ${self})`
  return `The data folder ${folder} cannot be written by ${who}.${whose} Start Souk with the account that owns it, or set DATA_DIR to another directory.`
}
