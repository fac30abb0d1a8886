import { once } from 'node:events'
import { Worker, type WorkerOptions } from 'node:worker_threads'

import type { Logger } from '../../../platform/log.ts'
import type { Service } from '../../../platform/service.ts'
import type { Context } from '../../module.ts'
import type { ImportThreadData, ThreadLogLine } from './import-thread.ts'
import { listClaimable } from './lease-queries.ts'
import type { Spool } from './spool.ts'
import { holdHeapsTight } from './tight-heap.ts'

const POLL_MS = 200
/** A thread that died of its work is not started again at once. */
const RESTART_MS = 2_000
const STOP_WAIT_MS = 4_000
const CANDIDATES = 50
/** An import that is over by then makes too little garbage to care about, and a thread that is just starting has better things to do. */
const TIGHTEN_AFTER_MS = 2_000
/**
 * What a thread may take, in megabytes. Far more than two imports need; a feed that needed more would end the thread, not the server.
 */
const LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 }

/**
 * Runs imports in a thread of its own while there are any: parsing and its garbage then never hold up the requests of this process, and
 * the memory of an import is given back as a whole at its end.
 */
export function importThreadService(context: Context, spool: Spool): Service {
  const { db, log } = context
  let thread: Worker | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  async function hasWork(): Promise<boolean> {
    for (const id of await listClaimable(db, CANDIDATES)) if (await spool.has(id)) return true
    return false
  }

  async function look(): Promise<void> {
    if (thread !== undefined || !(await hasWork()) || isStopped) return
    const started = startThread(context)
    thread = started
    let loosen: (() => void) | undefined
    const tighten = setTimeout(() => {
      loosen = holdHeapsTight()
    }, TIGHTEN_AFTER_MS)
    started.on('exit', (code) => {
      clearTimeout(tighten)
      loosen?.()
      thread = undefined
      schedule(code === 0 ? POLL_MS : RESTART_MS)
    })
  }

  function schedule(ms: number): void {
    clearTimeout(timer)
    if (isStopped) return
    timer = setTimeout(() => {
      look()
        .catch((error: unknown) => log.warn({ err: error }, 'could not look for imports, will look again'))
        .finally(() => schedule(POLL_MS))
    }, ms)
  }

  return {
    name: 'catalog.import-thread',
    start: async () => schedule(0),
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      if (thread !== undefined) await stopThread(thread)
    },
  }
}

function startThread({ db, config, log }: Context): Worker {
  const data: ImportThreadData = {
    databaseUrl: db.url,
    databaseSettings: db.settings,
    dataDir: config.dataDir,
    logLevel: config.log.level,
    fault: config.fault,
  }
  const thread = newWorker({ workerData: data, resourceLimits: LIMITS, name: 'souk import' })
  thread.on('message', (line: ThreadLogLine) => writeLine(log, line))
  thread.on('error', (error) => log.error({ err: error }, 'the import thread died, it will be started again'))
  return thread
}

/** The entry is beside this code. Run from source, as in tests and `npm run dev`, the thread has to learn TypeScript first. */
function newWorker(options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./import-thread.js', import.meta.url), options)
  const entry = JSON.stringify(new URL('./import-thread.ts', import.meta.url).href)
  const code = `import('tsx/esm/api').then(({ register }) => (register(), import(${entry})))`
  return new Worker(code, { ...options, eval: true })
}

async function stopThread(thread: Worker): Promise<void> {
  const exited = once(thread, 'exit')
  // oxlint-disable-next-line require-post-message-target-origin -- a thread, not a window
  thread.postMessage('stop')
  const patience = new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS, 'late').unref())
  if ((await Promise.race([exited, patience])) === 'late') await thread.terminate()
}

const LEVELS = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' } as const

function writeLine(log: Logger, { level, msg, ...members }: ThreadLogLine): void {
  const name = LEVELS[level as keyof typeof LEVELS] ?? 'error'
  log[name](members, msg)
}
