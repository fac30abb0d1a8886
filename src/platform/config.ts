import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { settingsReader, type Environment, type SettingsReader } from './settings.ts'

export { ConfigError } from './settings.ts'

/** Every setting, read once at start. Names and defaults: README, "Settings". */
export type Config = Readonly<ReturnType<typeof readConfig>>

/**
 * Reads the environment, with an optional `.env` in the working directory beneath it, and returns the frozen settings.
 * Throws one ConfigError that lists every fault, with those that `faultsOf` finds by the rules of a module.
 */
export function loadConfig(env?: Environment, faultsOf: (config: Config) => readonly string[] = () => []): Config {
  const fileFaults = env === undefined ? loadEnvFile() : []
  const read = settingsReader(env ?? process.env)
  const config = readConfig(read)
  read.finish([...fileFaults, ...faultsTogether(config), ...faultsOf(config)])
  return Object.freeze(config)
}

function readConfig(read: SettingsReader) {
  return {
    host: read.text('HOST', '127.0.0.1'),
    port: read.integer('PORT', 8000, { min: 0, max: 65_535 }),
    dataDir: resolve(read.text('DATA_DIR', './data')),
    databaseUrl: read.optionalUrl('DATABASE_URL', ['postgres:', 'postgresql:']),
    databasePoolSize: read.integer('DATABASE_POOL_SIZE', 10, { min: 2, max: 500 }),
    redisUrl: read.optionalUrl('REDIS_URL', ['redis:', 'rediss:', 'unix:']),
    secretKey: read.optionalText('SECRET_KEY', { minLength: 16 }),
    admin: {
      username: read.optionalText('ADMIN_USERNAME'),
      email: read.optionalText('ADMIN_EMAIL'),
      password: read.optionalText('ADMIN_PASSWORD', { minLength: 4, isPassword: true }),
    },
    oauthClientId: read.text('OAUTH_CLIENT_ID', 'souk-cli'),
    oauthClientSecret: read.optionalText('OAUTH_CLIENT_SECRET', { isPassword: true }),
    trustedOrigins: read.origins('TRUSTED_ORIGINS', ['http://localhost:3000']),
    timeZone: read.timeZone('TIME_ZONE', 'UTC'),
    log: {
      level: read.choice('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
      pretty: read.boolean('LOG_PRETTY', process.stdout.isTTY),
    },
    maxUploadBytes: read.integer('MAX_UPLOAD_BYTES', 52_428_800, { min: 1024 }),
    maxImportBytes: read.integer('MAX_IMPORT_BYTES', 4_294_967_296, { min: 1024 }),
    trustProxy: read.proxies('TRUST_PROXY'),
    publicUrl: read.optionalUrl('PUBLIC_URL', ['http:', 'https:']),
    changeRetention: {
      days: read.integer('CHANGE_RETENTION_DAYS', 30, { min: 1 }),
      bytes: read.integer('CHANGE_RETENTION_BYTES', 10 * 1024 ** 3, { min: 1024 ** 2 }),
    },
    changeStream: {
      prefix: read.text('CHANGE_STREAM_PREFIX', 'souk'),
      /** Entries of one Redis stream, about. */
      maxLength: read.integer('CHANGE_STREAM_MAXLEN', 100_000, { min: 1 }),
    },
    /** For crash tests only: a fault point, see platform/fault.ts. */
    fault: read.optionalText('SOUK_FAULT'),
    identity: readIdentity(read),
    orders: readOrders(read),
    mail: readMail(read),
  } as const
}

function readIdentity(read: SettingsReader) {
  return {
    apiTokenTtlSeconds: read.integer('API_TOKEN_TTL_SECONDS', 0, { min: 0 }),
    oauthAccessTtlSeconds: read.integer('OAUTH_ACCESS_TTL_SECONDS', 36_000, { min: 1 }),
    jwtAccessTtlSeconds: read.integer('JWT_ACCESS_TTL_SECONDS', 86_400, { min: 1 }),
    jwtRefreshTtlSeconds: read.integer('JWT_REFRESH_TTL_SECONDS', 30 * 86_400, { min: 1 }),
    signinFailureLimit: read.integer('SIGNIN_FAILURE_LIMIT', 10, { min: 0 }),
    passwordMinLength: read.integer('PASSWORD_MIN_LENGTH', 4, { min: 4, max: 128 }),
    tokenCleanupIntervalSeconds: read.integer('TOKEN_CLEANUP_INTERVAL_SECONDS', 3600, { min: 1 }),
  } as const
}

function readOrders(read: SettingsReader) {
  return {
    /** Meant for 60 to 300; shorter for trials only. */
    confirmWindowSeconds: read.integer('CONFIRM_WINDOW_SECONDS', 60, { min: 1, max: 86_400 }),
    /** What sets payments going: the change log, or the Redis stream of the orders. */
    paymentEvents: read.choice('PAYMENT_EVENTS', ['log', 'stream'], 'log'),
  } as const
}

function readMail(read: SettingsReader) {
  return {
    smtpUrl: read.optionalUrl('SMTP_URL', ['smtp:', 'smtps:']),
    smtpServer: read.optionalText('SMTP_SERVER'),
    smtpPort: read.integer('SMTP_PORT', 587, { min: 1, max: 65_535 }),
    smtpUsername: read.optionalText('SMTP_USERNAME'),
    smtpPassword: read.optionalText('SMTP_PASSWORD', { isPassword: true }),
    from: read.mailAddress('MAIL_FROM', 'souk@localhost'),
    maxAttempts: read.integer('MAIL_MAX_ATTEMPTS', 5, { min: 1 }),
    attemptTimeoutMs: read.integer('MAIL_ATTEMPT_TIMEOUT_MS', 30 * 60_000, { min: 100 }),
    maxAgeMs: read.integer('MAIL_MAX_AGE_MS', 3 * 3_600_000, { min: 1000 }),
  } as const
}

/** Settings that do not go together. */
function faultsTogether({ redisUrl, orders }: Pick<Config, 'redisUrl' | 'orders'>): string[] {
  return orders.paymentEvents === 'stream' && redisUrl === undefined ? ['PAYMENT_EVENTS=stream needs REDIS_URL'] : []
}

/** Puts the `.env` of the working directory beneath the environment and returns what is wrong with it. */
function loadEnvFile(): string[] {
  const file = join(process.cwd(), '.env')
  if (!existsSync(file)) return []
  process.loadEnvFile(file)
  return strayLines(readFileSync(file, 'utf8')).map((line) => `.env: line ${line} is neither NAME=value nor a comment`)
}

/** A setting, whose value may be quoted and then run over several lines. */
const SETTING = /^[ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=[ \t]*(?:"[^"]*"|'[^']*'|`[^`]*`)?.*$/gm

/** The numbers of the lines that are no settings: Node would take one for the beginning of the next and so lose that. */
export function strayLines(text: string): number[] {
  const rest = text.replaceAll(SETTING, (setting) => '\n'.repeat(setting.split('\n').length - 1))
  return rest.split('\n').flatMap((line, index) => (/^\s*(?:#.*)?$/.test(line) ? [] : [index + 1]))
}
