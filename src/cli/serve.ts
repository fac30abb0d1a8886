import { assemble, type Role, type Souk } from '../app.ts'
import { adminFaults, ensureFirstSuperuser, ensureOauthClient } from '../modules/identity/index.ts'
import { systemClock } from '../platform/clock.ts'
import { compactMemory } from '../platform/compact-memory.ts'
import { loadConfig, type Config } from '../platform/config.ts'
import { openDataFolder } from '../platform/data-folder.ts'
import { armFault } from '../platform/fault.ts'
import { createLogger, type Logger } from '../platform/log.ts'
import { readOrCreateSecret } from '../platform/secrets.ts'
import { requireNoArguments, UsageError, type Command } from './command.ts'
import { openDatabase, type OpenDatabase } from './database.ts'

/** As many as the HMAC-SHA256 of the JWTs has bits (RFC 7518, section 3.2). */
const SECRET_KEY_BYTES = 32
const SETTINGS_HINT = 'Settings come from the environment and an optional .env: see .env.example and README.'

export const serveCommand: Command = {
  name: 'serve',
  summary: 'run everything in one process (the default)',
  help: `Usage: souk serve

Serves HTTP and WebSocket on HOST:PORT (127.0.0.1:8000) and does the background work. Without DATABASE_URL it runs its own PostgreSQL in
DATA_DIR (./data). SIGTERM and SIGINT finish running requests and stop within 5 seconds.
${SETTINGS_HINT}`,
  run: (args) => serve('serve', args),
}

export const apiCommand: Command = {
  name: 'api',
  summary: 'serve HTTP and WebSocket only',
  help: `Usage: souk api

Serves HTTP and WebSocket without the background work, which needs at least one "souk worker" on the same DATABASE_URL and DATA_DIR.
${SETTINGS_HINT}`,
  run: (args) => serve('api', args),
}

export const workerCommand: Command = {
  name: 'worker',
  summary: 'do the background work only',
  help: `Usage: souk worker

Runs subscribers, mail, imports and clean-up without serving HTTP; any number may run on one DATABASE_URL.
${SETTINGS_HINT}`,
  run: (args) => serve('worker', args),
}

async function serve(role: Role, args: string[]): Promise<number> {
  requireNoArguments(role, args)
  const settings = loadConfig(undefined, adminFaults)
  const log = createLogger(settings.log)
  armFault(settings.fault)
  await openDataFolder(settings.dataDir).catch(asUsageError)
  const config = await withSecretKey(settings).catch(asUsageError)
  const database = await openDatabase(config, log, { mayShare: role !== 'serve' })
  try {
    await prepareAccounts(config, database)
    const souk = await assemble({ config, db: database.db, clock: systemClock, log, role })
    await souk.start().catch((error: unknown) => explainStart(error, config))
    announce(config, database, souk, log)
    compactMemory()
    await stopSignal(log)
    await souk.stop()
    log.info('stopped')
    return 0
  } finally {
    await database.close()
  }
}

/** The settings with SECRET_KEY: without one, that of the first start, kept in the data folder. */
async function withSecretKey(config: Config): Promise<Config> {
  if (config.secretKey !== undefined) return config
  return Object.freeze({
    ...config,
    secretKey: await readOrCreateSecret(config.dataDir, 'secret-key', SECRET_KEY_BYTES),
  })
}

async function prepareAccounts(config: Config, database: OpenDatabase): Promise<void> {
  await ensureOauthClient({ config, db: database.db })
  const made = await ensureFirstSuperuser({ config, db: database.db, isEmbedded: database.isEmbedded })
  if (made?.password === undefined) return
  // To the terminal, not to the log: logs are kept and shipped, and hold no secrets.
  process.stderr.write(
    `\n  First start: sign in as "${made.username}" with the password ${made.password}\n  (kept in ${made.passwordFile})\n\n`,
  )
}

function announce(config: Config, database: OpenDatabase, souk: Souk, log: Logger): void {
  if (souk.address === undefined) {
    log.info('worker is ready')
    return
  }
  const shown = config.publicUrl ?? souk.address.replace('127.0.0.1', 'localhost')
  const engine = database.isEmbedded ? 'embedded PostgreSQL' : 'PostgreSQL at DATABASE_URL'
  log.info(`Souk is ready at ${shown} (${engine}); API documentation at ${shown}/api/swagger/`)
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(1)
      isStopping = true
      log.info(`${signal}: finishing running requests`)
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function explainStart(error: unknown, config: Config): never {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE') {
    throw new UsageError(
      `Port ${config.port} on ${config.host} is taken by another program. Set PORT to a free one, or stop that program.`,
    )
  }
  if (code === 'EACCES')
    throw new UsageError(`Port ${config.port} needs more rights than this account has. Set PORT above 1023.`)
  if (['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'].includes(code ?? '')) {
    throw new UsageError(`HOST ${config.host} is not an address of this machine.`)
  }
  throw error
}

function asUsageError(error: unknown): never {
  throw new UsageError((error as Error).message)
}
