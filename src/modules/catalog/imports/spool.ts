import { createReadStream } from 'node:fs'
import { access, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'

import { errorCode } from '../../../platform/db/db.ts'
import { UnavailableError } from '../../../platform/errors.ts'
import { isUuid } from '../../../platform/ids.ts'

const READ_BYTES = 256 * 1024
const SUFFIX = '.feed'
const PART_SUFFIX = '.part'
const RETRY_SECONDS = 60

/** The folder of received feeds below the data folder. The API and the workers must share it. */
export interface Spool {
  /** A file that becomes visible to workers only when it is kept. */
  create(id: string): Promise<SpoolFile>
  has(id: string): Promise<boolean>
  /** The unpacked content from the start. Ending the iteration early closes the file. */
  read(id: string, isCompressed: boolean): AsyncIterable<Buffer>
  remove(id: string): Promise<void>
  /** Ids of files that were not written to for this long. */
  listOlderThan(ms: number): Promise<string[]>
}

export interface SpoolFile {
  write(chunk: Buffer): Promise<void>
  /** Makes the file durable under its id. */
  keep(): Promise<void>
  /** Removes what was written; safe after `keep`, which it undoes. */
  discard(): Promise<void>
}

export function openSpool(dataDir: string): Spool {
  const folder = join(dataDir, 'imports')
  const path = (id: string): string => join(folder, id + SUFFIX)

  return {
    create: async (id) => {
      const part = join(folder, id + PART_SUFFIX)
      await mkdir(folder, { recursive: true, mode: 0o700 }).catch(rethrowStorage)
      const handle = await open(part, 'wx', 0o600).catch(rethrowStorage)
      return spoolFile(handle, part, path(id))
    },
    has: (id) =>
      access(path(id)).then(
        () => true,
        () => false,
      ),
    read: (id, isCompressed) => readFeedFile(path(id), isCompressed),
    remove: async (id) => {
      await rm(path(id), { force: true })
      await rm(join(folder, id + PART_SUFFIX), { force: true })
    },
    listOlderThan: (ms) => listOld(folder, ms),
  }
}

function spoolFile(handle: FileHandle, part: string, final: string): SpoolFile {
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close()
    isOpen = false
  }
  return {
    write: async (chunk) => {
      await handle.writeFile(chunk).catch(rethrowStorage)
    },
    keep: async () => {
      // The import is acknowledged after this; a power cut must not take the file away from under it.
      await handle.sync().catch(rethrowStorage)
      await close()
      await rename(part, final).catch(rethrowStorage)
    },
    discard: async () => {
      await close()
      await rm(part, { force: true })
      await rm(final, { force: true })
    },
  }
}

function readFeedFile(path: string, isCompressed: boolean): AsyncIterable<Buffer> {
  const file = createReadStream(path, { highWaterMark: READ_BYTES })
  if (!isCompressed) return file
  // A failure of either stream ends the other and reaches the reader through the iteration.
  return pipeline(file, createGunzip({ chunkSize: READ_BYTES }), () => undefined)
}

async function listOld(folder: string, ms: number): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  })
  const old: string[] = []
  for (const name of names) {
    const id = name.replace(/\.(feed|part)$/, '')
    if (id === name || !isUuid(id)) continue
    const written = await stat(join(folder, name)).catch(() => undefined)
    if (written !== undefined && Date.now() - written.mtimeMs > ms) old.push(id)
  }
  return old
}

/** A full or read-only disk is ours to repair and may be better later; anything else is a fault of the program. */
function rethrowStorage(error: unknown): never {
  const code = errorCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    throw new UnavailableError('There is no room to store the file.', RETRY_SECONDS)
  if (code === 'EROFS' || code === 'EACCES')
    throw new UnavailableError('The file cannot be stored at the moment.', RETRY_SECONDS)
  throw error
}
