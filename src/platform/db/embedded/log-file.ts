import { open, rename, rm, stat, truncate, copyFile, type FileHandle } from 'node:fs/promises'

/** Past this size the log is put aside as `.1`; so it never takes more than twice as much. */
const MAX_LOG_BYTES = 10 * 1024 ** 2
const LOOK_EVERY_MS = 60_000

export interface LogFile {
  /** Handed to PostgreSQL as its standard error. */
  readonly fd: number
  /** What was written after the mark. */
  readSince(mark: number): Promise<string>
  mark(): Promise<number>
  close(): Promise<void>
}

/** Opens the log for appending and keeps it from growing without end while it is open. */
export async function openLogFile(path: string): Promise<LogFile> {
  if ((await sizeOf(path)) > MAX_LOG_BYTES) await rename(path, `${path}.1`)
  // Readable too, because explanations of a failed start are found in it. Appending writers follow a truncated file to its new end.
  const handle = await open(path, 'a+', 0o600)
  const timer = setInterval(() => void cutWhenLarge(path).catch(() => undefined), LOOK_EVERY_MS)
  timer.unref()
  return {
    fd: handle.fd,
    readSince: (mark) => readFrom(handle, mark),
    mark: async () => (await handle.stat()).size,
    close: () => {
      clearInterval(timer)
      return handle.close()
    },
  }
}

/** PostgreSQL keeps the file open, so its content moves and the file stays. */
export async function cutWhenLarge(path: string, maxBytes = MAX_LOG_BYTES): Promise<void> {
  if ((await sizeOf(path)) <= maxBytes) return
  try {
    await copyFile(path, `${path}.1`)
  } catch (error) {
    // On a full disk an old log is worth less than the space.
    await rm(`${path}.1`, { force: true })
    await truncate(path)
    throw error
  }
  await truncate(path)
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}

async function readFrom(handle: FileHandle, mark: number): Promise<string> {
  const { size } = await handle.stat()
  const buffer = Buffer.alloc(Math.max(0, Math.min(size - mark, 65_536)))
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length)
  return buffer.toString('utf8', 0, bytesRead)
}
