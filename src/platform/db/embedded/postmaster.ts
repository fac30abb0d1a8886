import { spawn, type ChildProcess } from 'node:child_process'
import { statSync } from 'node:fs'
import { readFile, rm, rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Logger } from '../../log.ts'
import { spawnAs } from './account.ts'
import { cannotSwitch, folderArgument, SERVER_ENVIRONMENT, type Cluster } from './cluster.ts'
import { EmbeddedPostgresError, explainOutput, isPredecessorStillEnding } from './errors.ts'
import type { LogFile } from './log-file.ts'
import { processStart, sendSignal, waitUntil, worksIn } from './process.ts'
import { PORT, type SocketFolder } from './socket.ts'

/** A running server; the process that takes connections is called the postmaster. */
export interface Postmaster {
  pid: number
  /** Resolves when the process has ended, however that came. */
  ended: Promise<void>
}

const POLL_MS = 3
const PREDECESSOR_PATIENCE_MS = 10_000
const PATIENCE_NOTE_MS = 10_000
/**
 * Fast shutdown (ends sessions, writes everything), immediate shutdown (the next start replays the log), kill. The first two together
 * stay within the 5 s that a stop may take.
 */
const ENDING: [NodeJS.Signals, number][] = [
  ['SIGINT', 4_000],
  ['SIGQUIT', 800],
  ['SIGKILL', 2_000],
]

export interface StartOptions {
  cluster: Cluster
  socket: SocketFolder
  logFile: LogFile
  log: Logger
  signal: AbortSignal | undefined
}

/** Starts the server and returns when it takes connections. Throws with the reason from its log when it does not. */
export async function startPostmaster(options: StartOptions): Promise<Postmaster> {
  const giveUp = performance.now() + PREDECESSOR_PATIENCE_MS
  for (;;) {
    const mark = await options.logFile.mark()
    const postmaster = await spawnPostmaster(options)
    if (await becomesReady(postmaster, options)) return postmaster

    const output = await options.logFile.readSince(mark)
    if (!isPredecessorStillEnding(output) || performance.now() > giveUp) throw explainOutput(output, options.cluster)
    await sleep(50)
  }
}

async function spawnPostmaster({ cluster, socket, logFile }: StartOptions): Promise<Postmaster> {
  const child = spawn(cluster.binaries.postgres, postmasterArguments(cluster, socket), {
    cwd: cluster.folder,
    env: SERVER_ENVIRONMENT,
    stdio: ['ignore', logFile.fd, logFile.fd],
    // A session of its own: Ctrl-C in the terminal reaches us only, and running requests can finish.
    detached: true,
    ...spawnAs(cluster.account),
  })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  await spawned(child).catch((error: Error) => {
    if ('code' in error && error.code === 'EPERM' && cluster.account.switched)
      throw cannotSwitch(cluster.account, error)
    throw new EmbeddedPostgresError(`The embedded PostgreSQL cannot be run: ${error.message}`, { cause: error })
  })
  child.unref()
  return { pid: child.pid!, ended }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((done, fail) => child.once('spawn', done).once('error', fail))
}

function postmasterArguments(cluster: Cluster, socket: SocketFolder): string[] {
  const settings: Record<string, string> = {
    unix_socket_directories: socket.setting,
    unix_socket_permissions: '0700',
    listen_addresses: '',
    port: String(PORT),
    logging_collector: 'off',
    log_destination: 'stderr',
    cluster_name: 'souk',
    'souk.instance': instanceOf(cluster),
    // Statements that fail are answered to us, who know what they mean; in the log they would only fill the disk with people's data.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    ...(cluster.durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  }
  return [
    '-D',
    folderArgument(cluster),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
}

/**
 * Differs when the folder was copied back from a backup: the change log then starts a new epoch (migration 0002). By this file, because
 * every tool that restores writes it anew, and the server only ever in place.
 */
function instanceOf(cluster: Cluster): string {
  const { ino, birthtimeMs } = statSync(join(cluster.folder, 'global/pg_control'))
  return `${ino}-${Math.floor(birthtimeMs)}`
}

/** False when the process ended instead. Replaying the log after a crash may take minutes; it is not cut short. */
async function becomesReady(postmaster: Postmaster, { cluster, signal, log }: StartOptions): Promise<boolean> {
  const state = { ended: false }
  void postmaster.ended.then(() => (state.ended = true))
  let nextNote = performance.now() + PATIENCE_NOTE_MS
  while (!state.ended) {
    const file = await readPostmasterFile(cluster.folder)
    if (file?.pid === postmaster.pid && file.ready) return true
    if (signal?.aborted) {
      await endPostmaster(postmaster.pid, () => state.ended)
      signal.throwIfAborted()
    }
    if (performance.now() > nextNote) {
      log.info('waiting for PostgreSQL: it repeats the work that was not yet in its files when it was ended')
      nextNote += PATIENCE_NOTE_MS
    }
    await sleep(POLL_MS)
  }
  return false
}

/** Asks more and more firmly, and returns when the process is gone. */
export async function endPostmaster(pid: number, isGone: () => boolean | Promise<boolean>): Promise<void> {
  for (const [signal, patienceMs] of ENDING) {
    if (!sendSignal(pid, signal) || (await waitUntil(isGone, patienceMs))) return
  }
  throw new EmbeddedPostgresError(`PostgreSQL (process ${pid}) does not end, not even when killed.`)
}

/**
 * Ends the server that a killed Souk left behind, if it did. Only for the holder of the lock. Ended rather than taken over: then settings
 * and programs are those of this release, and no session of the dead process still holds locks.
 */
export async function endOrphan(cluster: Cluster, log: Logger): Promise<void> {
  const file = await readPostmasterFile(cluster.folder)
  if (file === undefined) return
  if (await worksIn(file.pid, cluster.folder)) {
    log.warn({ pid: file.pid }, 'ending the PostgreSQL that an earlier Souk left running')
    const start = await processStart(file.pid)
    await endPostmaster(file.pid, async () => (await processStart(file.pid)) !== start)
    // A socket folder among the temporary files is empty by now; any other is not, and stays.
    await rmdir(resolve(cluster.folder, file.socketFolder)).catch(() => undefined)
  } else if ((await processStart(file.pid)) !== undefined) {
    // The number belongs to somebody else by now, and PostgreSQL would wait for that one to end.
    await rm(join(cluster.folder, 'postmaster.pid'), { force: true })
  }
}

interface PostmasterFile {
  pid: number
  socketFolder: string
  ready: boolean
}

/** `postmaster.pid`, one fact per line: pid, folder, start, port, socket folder, address, shared memory, status. */
export async function readPostmasterFile(folder: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(folder, 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 1) return undefined
  return { pid, socketFolder: lines[4] ?? '', ready: lines[7]?.trim() === 'ready' }
}
