import { randomBytes, randomUUID } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { DataFolderError } from './data-folder.ts'

const FOLDER = 'secrets'

/**
 * The secret of that name in the data folder, made from `bytes` random bytes (base64url) when there is none yet. Every process gets the
 * same value, also when several ask for the first time at once. Only the owner of the file may read it.
 */
export async function readOrCreateSecret(dataDir: string, name: string, bytes: number): Promise<string> {
  const file = join(dataDir, FOLDER, name)
  const known = await readSecret(file)
  if (known !== undefined) return known

  const draft = await writeDraft(file, `${randomBytes(bytes).toString('base64url')}\n`)
  try {
    // A link fails when the name is taken, so the first of several processes wins and no reader ever sees half a secret.
    await link(draft, file)
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  } finally {
    await rm(draft, { force: true })
  }
  const created = await readSecret(file)
  if (created === undefined) throw new DataFolderError(`The secret ${file} was removed while it was being made.`)
  return created
}

/** Writes (or replaces) a file in the folder of secrets that only its owner may read, and returns its path. */
export async function writeOwnerOnly(dataDir: string, name: string, content: string): Promise<string> {
  const file = join(dataDir, FOLDER, name)
  const draft = await writeDraft(file, content)
  await rename(draft, file)
  return file
}

/** What `writeOwnerOnly` wrote under that name, trimmed; undefined when there is nothing. */
export function readOwnerOnly(dataDir: string, name: string): Promise<string | undefined> {
  return readSecret(join(dataDir, FOLDER, name))
}

async function readSecret(file: string): Promise<string | undefined> {
  let value: string
  try {
    value = (await readFile(file, 'utf8')).trim()
    // A copy of the data folder may have lost its permissions on the way.
    await chmod(file, 0o600)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
  if (value === '') throw new DataFolderError(`The secret ${file} is empty. Restore it, or remove it to get a new one.`)
  return value
}

/** On disk before it gets its name: a power cut must not leave an empty secret under it. */
async function writeDraft(file: string, content: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomUUID()}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return draft
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
