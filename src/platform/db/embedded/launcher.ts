import { realpath } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { dataFolderError, openDataFolder } from '../../data-folder.ts'
import type { Logger } from '../../log.ts'
import { serverAccount } from './account.ts'
import { findBinaries } from './binaries.ts'
import { ensureCluster, type Cluster } from './cluster.ts'
import { ensureDatabase } from './database.ts'
import { explainOutput } from './errors.ts'
import { isLocked, lockFolder, type FolderLock } from './lock.ts'
import { openLogFile, type LogFile } from './log-file.ts'
import {
  endOrphan,
  endPostmaster,
  readPostmasterFile,
  startPostmaster,
  type Postmaster,
  type StartOptions,
} from './postmaster.ts'
import { sendSignal } from './process.ts'
import { databaseUrl, openSocketFolder, type SocketFolder } from './socket.ts'

export interface EmbeddedPostgresOptions {
  dataDir: string
  log: Logger
  /** Gives up a start that is under way. */
  signal?: AbortSignal | undefined
  /** False for tests: quicker, and a power cut may lose everything. */
  durable?: boolean
  /** Where the platform package is; looked up when absent. */
  packageFolder?: string
}

export interface EmbeddedPostgres {
  readonly url: string
  /** Whether the database was made by this start. */
  readonly firstStart: boolean
  /** Of the server as it runs now: one that dies is started again. */
  readonly pid: number
  /** Ends sessions and the server within 5 s and gives the data folder back. Safe to call twice. */
  stop(): Promise<void>
}

const FOLDER = 'postgres'
const LOG_FILE = 'postgres.log'
const MAX_RESTART_DELAY_MS = 5_000

/**
 * Starts PostgreSQL on the data folder and keeps it running until `stop`. Throws DataFolderInUseError when another process has the folder,
 * EmbeddedPostgresError or DataFolderError with a sentence for a person when it cannot be started.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  // Without links in it: the kernel names working directories so.
  const dataDir = await realpath(await openDataFolder(options.dataDir))
  const undo: (() => Promise<void>)[] = []
  try {
    return await start(dataDir, options, undo)
  } catch (error) {
    for (const step of undo.toReversed()) {
      await step().catch((failure: Error) =>
        options.log.warn({ err: failure.message }, 'cleaning up after a failed start'),
      )
    }
    throw await dataFolderError(error, dataDir)
  }
}

/** The address of the database that another process runs on this data folder, if one does. */
export async function findEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const folder = await realpath(dataDir).catch(() => resolve(dataDir))
  const cluster = join(folder, FOLDER)
  const running = await readPostmasterFile(cluster)
  if (running === undefined || !running.ready || !(await isLocked(folder))) return undefined
  return databaseUrl(resolve(cluster, running.socketFolder))
}

async function start(
  dataDir: string,
  options: EmbeddedPostgresOptions,
  undo: (() => Promise<void>)[],
): Promise<EmbeddedPostgres> {
  const { log, signal } = options
  const lock = await lockFolder(dataDir)
  undo.push(() => lock.release())
  const cluster = await describeCluster(dataDir, options)
  await endOrphan(cluster, log)
  const firstStart = await ensureCluster(cluster, signal)
  const logFile = await openLogFile(cluster.logFile)
  undo.push(() => logFile.close())
  const socket = await openSocketFolder(cluster)
  undo.push(() => socket.remove())

  const mark = await logFile.mark()
  const startOptions = { cluster, socket, logFile, log, signal }
  const postmaster = await startPostmaster(startOptions)
  undo.push(() => endChild(postmaster))
  await ensureDatabase(socket.folder).catch(async (error: Error) => {
    throw explainOutput(`${await logFile.readSince(mark)}\nFATAL:  ${error.message}`, cluster, error)
  })
  signal?.throwIfAborted()
  return keepRunning(postmaster, startOptions, { firstStart, lock })
}

async function describeCluster(dataDir: string, options: EmbeddedPostgresOptions): Promise<Cluster> {
  const folder = join(dataDir, FOLDER)
  const account = await serverAccount(folder)
  const { log, packageFolder } = options
  const binaries = await findBinaries({ dataDir, account, log, packageFolder })
  return { dataDir, folder, logFile: join(dataDir, LOG_FILE), account, binaries, durable: options.durable ?? true }
}

/** Starts the server again whenever it ends without being asked to: killed by an operator, or for want of memory. */
function keepRunning(
  first: Postmaster,
  options: StartOptions,
  started: { firstStart: boolean; lock: FolderLock },
): EmbeddedPostgres {
  const { log, socket, logFile } = options
  const stopping = new AbortController()
  let postmaster = first

  async function supervise(): Promise<void> {
    for (;;) {
      await postmaster.ended
      if (stopping.signal.aborted) return
      log.error({ pid: postmaster.pid }, 'PostgreSQL ended unexpectedly and is started again')
      const next = await startAgain({ ...options, signal: stopping.signal })
      if (next === undefined) return
      postmaster = next
      // Told to stop while the new one came up: whoever stops has asked the old one only.
      if (stopping.signal.aborted) await endChild(postmaster)
    }
  }

  // Whoever leaves without stop (an uncaught error) at least asks the server to end; a kill leaves it to the next start.
  const onExit = () => void sendSignal(postmaster.pid, 'SIGINT')
  process.once('exit', onExit)
  const supervision = supervise()

  async function stop(): Promise<void> {
    stopping.abort()
    await endChild(postmaster)
    await supervision
    process.off('exit', onExit)
    await cleanUp(socket, logFile, started.lock)
  }

  let stopped: Promise<void> | undefined
  return {
    url: databaseUrl(socket.folder),
    firstStart: started.firstStart,
    get pid() {
      return postmaster.pid
    },
    stop: () => (stopped ??= stop()),
  }
}

async function cleanUp(socket: SocketFolder, logFile: LogFile, lock: FolderLock): Promise<void> {
  await socket.remove()
  await logFile.close()
  await lock.release()
}

/** Tries until it succeeds; undefined when told to stop. */
async function startAgain(options: StartOptions): Promise<Postmaster | undefined> {
  for (let delay = 100; !options.signal?.aborted; delay = Math.min(delay * 2, MAX_RESTART_DELAY_MS)) {
    try {
      return await startPostmaster(options)
    } catch (error) {
      if (options.signal?.aborted) return undefined
      options.log.error(
        { err: error instanceof Error ? error.message : String(error) },
        'PostgreSQL cannot be started again',
      )
      await sleep(delay, undefined, { signal: options.signal }).catch(() => undefined)
    }
  }
  return undefined
}

async function endChild(postmaster: Postmaster): Promise<void> {
  const state = { ended: false }
  void postmaster.ended.then(() => (state.ended = true))
  // Lets a process that ended already say so: its number may belong to another one.
  await Promise.resolve()
  if (!state.ended) await endPostmaster(postmaster.pid, () => state.ended)
}
