import { parentPort, workerData } from 'node:worker_threads'

import { pino } from 'pino'

import { systemClock } from '../../../platform/clock.ts'
import { createDb, type ConnectionSettings } from '../../../platform/db/db.ts'
import { armFault } from '../../../platform/fault.ts'
import { importService } from './import-service.ts'
import { openSpool } from './spool.ts'

/** What the thread is told at its start. */
export interface ImportThreadData {
  databaseUrl: string
  databaseSettings: ConnectionSettings
  dataDir: string
  logLevel: string
  fault: string | undefined
}

/** A line of the log, for the logger of the process. */
export interface ThreadLogLine {
  level: number
  msg: string
  [member: string]: unknown
}

/** Two imports at once, each with a transaction and a pulse. */
const POOL_SIZE = 4
/** A thread without work ends and gives its memory back. */
const IDLE_MS = 10_000

const { databaseUrl, databaseSettings, dataDir, logLevel, fault } = workerData as ImportThreadData
const port = parentPort!
const log = pino(
  { level: logLevel, base: null, timestamp: false },
  { write: (line: string) => port.postMessage(JSON.parse(line)) },
)
armFault(fault)
const db = createDb({
  url: databaseUrl,
  settings: databaseSettings,
  poolSize: POOL_SIZE,
  applicationName: 'souk import',
  log,
})

let lastBusy = performance.now()
const service = importService({ db, clock: systemClock, log }, openSpool(dataDir), {
  onIdle: () => {
    if (performance.now() - lastBusy > IDLE_MS) void end()
  },
  onBusy: () => {
    lastBusy = performance.now()
  },
})

let ending: Promise<void> | undefined

function end(): Promise<void> {
  ending ??= service
    .stop()
    .then(() => db.close())
    // With the port closed nothing keeps the thread alive.
    .finally(() => port.close())
  return ending
}

port.on('message', () => void end())
await service.start()
