import { randomUUID } from 'node:crypto'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { errorCode } from '../../platform/db/db.ts'
import { UnavailableError } from '../../platform/errors.ts'

/** A temporary file without a name: when it is closed, or the process dies, nothing of it is left. */
export interface SpoolFile {
  /** Appends; throws UnavailableError when the disk is full. */
  write(bytes: Buffer): Promise<void>
  /** The whole content from the start. */
  read(): AsyncIterable<Buffer>
  /** One piece of the content. */
  readAt(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

const READ_BYTES = 64 * 1024

/** Opens a spool file below the data folder. */
export async function openSpoolFile(dataDir: string): Promise<SpoolFile> {
  const folder = join(dataDir, 'spool')
  const path = join(folder, randomUUID())
  let end = 0
  const handle = await withDiskErrors(async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const opened = await open(path, 'wx+', 0o600)
    await rm(path)
    return opened
  })

  return {
    write: (bytes) =>
      withDiskErrors(async () => {
        await writeAll(handle, bytes, end)
        end += bytes.length
      }),
    async *read() {
      for (let at = 0; at < end; at += READ_BYTES) yield await readAll(handle, at, Math.min(READ_BYTES, end - at))
    },
    readAt: (offset, length) => readAll(handle, offset, length),
    close: () => handle.close(),
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

async function readAll(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) throw new Error('a spool file is shorter than what was written to it')
    done += bytesRead
  }
  return bytes
}

const FULL_DISK = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'])

async function withDiskErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!FULL_DISK.has(errorCode(error) ?? '')) throw error
    throw new UnavailableError('There is no room for uploads at the moment.', 30)
  }
}
