import { randomUUID } from 'node:crypto'
import { link, readdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { DataFolderInUseError } from './errors.ts'
import { processStart } from './process.ts'

/** Which process on which running system; written into the lock. */
interface Owner {
  pid: number
  start: string
  host: string
  boot: string
  /** Process numbers mean something only within one namespace (container). */
  namespace: string
}

export interface FolderLock {
  /** Gives the folder back; safe to call twice. */
  release(): Promise<void>
}

const HEARTBEAT_MS = 5_000
/** An owner we cannot look at (another container) counts as dead after four missed heartbeats. */
const FOREIGN_SILENCE_MS = 20_000
const FOREIGN_LOOK_MS = 500
const LOCK_FILE = /^lock\.(\d+)$/

/**
 * Takes the data folder for this process, or throws DataFolderInUseError. Of several processes that try at once exactly one gets it. A
 * lock whose owner is dead is taken over at once.
 *
 * The owner is whoever wrote the lock with the highest number, if that process lives. Taking over means creating the next number, which
 * the file system grants once; a lock is never removed before a higher one exists, so nobody can remove the lock of a new owner in the
 * belief that it is the old one's.
 */
export async function lockFolder(dataDir: string): Promise<FolderLock> {
  const self = await thisProcess()
  for (;;) {
    const highest = await highestLock(dataDir)
    const owner = highest === 0 ? undefined : await livingOwner(lockFile(dataDir, highest), self)
    if (owner !== undefined) throw new DataFolderInUseError(dataDir, describe(owner, self))
    const mine = highest + 1
    if (!(await createLock(dataDir, mine, self))) continue
    if ((await highestLock(dataDir)) === mine) return held(dataDir, mine)
    // Others took, gave back and cleaned up higher numbers while we looked.
    await rm(lockFile(dataDir, mine), { force: true })
  }
}

/** Whether a living process holds the folder. */
export async function isLocked(dataDir: string): Promise<boolean> {
  const highest = await highestLock(dataDir)
  return highest > 0 && (await livingOwner(lockFile(dataDir, highest), await thisProcess())) !== undefined
}

async function held(dataDir: string, number: number): Promise<FolderLock> {
  const file = lockFile(dataDir, number)
  await removeOlder(dataDir, number)
  // A failed beat (full disk) must not end the server; processes of this system do not judge by it.
  const heartbeat = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => undefined), HEARTBEAT_MS)
  heartbeat.unref()
  let released: Promise<void> | undefined
  return {
    release() {
      clearInterval(heartbeat)
      released ??= writeReleased(file)
      return released
    },
  }
}

/** The file stays, see lockFolder; what it says changes in one step. */
async function writeReleased(file: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, 'released\n', { mode: 0o600 })
  await rename(draft, file)
}

async function createLock(dataDir: string, number: number, self: Owner): Promise<boolean> {
  const draft = join(dataDir, `lock.${randomUUID()}`)
  await writeFile(draft, `${JSON.stringify(self)}\n`, { flag: 'wx', mode: 0o600 })
  try {
    await link(draft, lockFile(dataDir, number))
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function livingOwner(file: string, self: Owner): Promise<Owner | undefined> {
  const [text, status] = await Promise.all([readFile(file, 'utf8').catch(() => ''), stat(file).catch(() => undefined)])
  const owner = parseOwner(text)
  if (owner === undefined || status === undefined) return undefined
  if (owner.host === self.host && owner.boot !== self.boot) return undefined
  if (owner.boot === self.boot && owner.namespace === self.namespace) {
    return (await processStart(owner.pid)) === owner.start ? owner : undefined
  }
  return (await showsLife(file, status.mtimeMs)) ? owner : undefined
}

/** Watches the lock of an owner we cannot look at until the next heartbeat, or until it has been silent for too long. */
async function showsLife(file: string, lastBeat: number): Promise<boolean> {
  const deadline = Math.min(lastBeat, Date.now()) + FOREIGN_SILENCE_MS
  while (Date.now() < deadline) {
    await sleep(FOREIGN_LOOK_MS)
    const beat = await stat(file).catch(() => undefined)
    if (beat?.mtimeMs !== lastBeat) return beat !== undefined
  }
  return false
}

/** A lock appears whole, so one that cannot be read was given back or lost its content in a power cut. */
function parseOwner(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner
  } catch {
    return undefined
  }
}

function describe(owner: Owner, self: Owner): string {
  return owner.host === self.host ? `process ${owner.pid}` : `process ${owner.pid} on ${owner.host}`
}

async function thisProcess(): Promise<Owner> {
  const [start, boot, namespace] = await Promise.all([
    processStart(process.pid),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ])
  return { pid: process.pid, start: start ?? '', host: hostname(), boot: boot.trim(), namespace }
}

async function highestLock(dataDir: string): Promise<number> {
  return Math.max(0, ...(await lockNumbers(dataDir)))
}

async function removeOlder(dataDir: string, number: number): Promise<void> {
  const older = (await lockNumbers(dataDir)).filter((other) => other < number)
  await Promise.all(older.map((other) => rm(lockFile(dataDir, other), { force: true })))
}

async function lockNumbers(dataDir: string): Promise<number[]> {
  const names = await readdir(dataDir)
  return names.flatMap((name) => LOCK_FILE.exec(name)?.[1] ?? []).map(Number)
}

function lockFile(dataDir: string, number: number): string {
  return join(dataDir, `lock.${number}`)
}
