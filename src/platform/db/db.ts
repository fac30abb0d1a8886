import { createHash } from 'node:crypto'
import pg from 'pg'
import { prepareValue } from 'pg/lib/utils.js'
import type { Sql } from 'sql-template-tag'

import type { Logger } from '../log.ts'
import { createConversation } from './conversation.ts'
import type { Statement } from './statement.ts'

export type Row = Record<string, unknown>

/** What both a pool and a transaction can do: run statements. Functions that only read take this. */
export interface Queryable {
  /** All rows. */
  rows<T = Row>(statement: Sql): Promise<T[]>
  /** The first row, or undefined. */
  row<T = Row>(statement: Sql): Promise<T | undefined>
  /** Number of rows the statement touched. */
  run(statement: Sql): Promise<number>
}

/** The pool. A function that writes cannot take it: it takes a Tx. */
export interface Db extends Queryable {
  readonly kind: 'db'
  /** Where it is, and what its connections set; for threads of this process, which need a pool of their own. */
  readonly url: string
  readonly settings: ConnectionSettings
  /** The same object on a pool and its transactions, for what is kept per pool. */
  readonly origin: object
  /**
   * Runs `work` in one transaction and commits; throws what `work` throws after rolling back. Deadlocks and serialization failures
   * (40P01, 40001) are tried again up to `retries` times, so `work` must have no effect outside the database.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>
  /** A connection of its own outside the pool, for LISTEN and cursors; the caller ends it. */
  connect(applicationName: string): Promise<pg.Client>
  close(): Promise<void>
  readonly stats: { total: number; idle: number; waiting: number }
}

/** An open transaction. Everything that writes takes one, first. */
export interface Tx extends Queryable {
  readonly kind: 'tx'
  /** That of the pool it was opened from. */
  readonly origin: object
  /** Runs after a successful commit, never after a rollback; must not throw. For hints only: a crash loses them. */
  afterCommit(callback: () => void): void
  /**
   * A statement made and sent when the work is done, together with COMMIT: nobody waits for its answer alone. Its error is thrown by
   * `transaction`, and nothing is committed.
   */
  withCommit(statement: () => Sql): void
  /** What the driver itself does on the connection, such as COPY; the transaction has begun by then. */
  withClient<T>(use: (client: pg.ClientBase) => Promise<T>): Promise<T>
}

export interface TransactionOptions {
  /** Tries again after a deadlock or serialization failure; default 3. */
  retries?: number
  isolation?: 'read committed' | 'repeatable read'
  readOnly?: boolean
}

/** Settings of PostgreSQL that hold for every statement of a connection, by name. */
export type ConnectionSettings = Readonly<Record<string, string>>

export interface DbOptions {
  url: string
  /** Beside those that every connection of ours has. */
  settings?: ConnectionSettings
  poolSize: number
  applicationName: string
  log: Logger
  /** Hears every statement before it is sent; for statement budgets in tests and the bare references of the benchmarks. */
  onStatement?: (text: string, values: unknown[]) => void
}

const CONNECT_TIMEOUT_MS = 10_000
const STATEMENT_TIMEOUT_MS = 60_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
/** A connection keeps every named statement until it closes; texts past this many are sent unnamed. */
const MAX_NAMED_STATEMENTS = 1_000

/** Opens a pool. Lost connections are replaced when next needed, so a restarted server is recovered from without help. */
export function createDb(options: DbOptions): Db {
  const { url, settings = {} } = options
  const pool = new pg.Pool({
    ...connectionConfig(url, options.applicationName, settings),
    max: options.poolSize,
    // Statements that are sent at once do not wait for each other's answers.
    pipeline: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  })
  let isClosing = false
  pool.on('error', (error) => {
    // The pool says goodbye without waiting for an answer; a server that stops right after reports the same connections as lost.
    if (!isClosing) options.log.warn({ err: error.message }, 'database connection lost')
  })
  pool.on('connect', (client) => client.on('error', () => undefined))
  const prepare = preparer(options.onStatement)

  return {
    kind: 'db',
    url,
    settings,
    origin: pool,
    ...queryable((statement) => pool.query(prepare(statement))),
    transaction: (work, transactionOptions = {}) => runTransaction(pool, prepare, work, transactionOptions),
    connect: async (applicationName) => {
      const client = new pg.Client(connectionConfig(url, applicationName, settings))
      // A server may end in the same breath in which it says that the connection is ready, before the caller can listen.
      client.on('error', () => undefined)
      await client.connect()
      return client
    },
    close: () => {
      isClosing = true
      return pool.end()
    },
    get stats() {
      return { total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }
    },
  }
}

/**
 * What the planner is told. PostgreSQL supposes a spinning disk, where four pages in order cost what one anywhere does; in memory and on flash
 * it so reads whole tables for a few rows of them.
 */
const PLANNING = { jit: 'off', random_page_cost: '1.1' }

/** What every connection of ours uses: UTC, 64-bit counts as numbers, instants as text with microseconds. */
export function connectionConfig(
  url: string,
  applicationName: string,
  settings: ConnectionSettings = {},
): pg.ClientConfig {
  const set = Object.entries({ timezone: 'UTC', ...PLANNING, ...settings }).map(
    ([name, value]) => `-c ${name}=${value}`,
  )
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: set.join(' '),
    types: { getTypeParser },
  }
}

type Prepare = (statement: Sql) => Statement

/** Names each text, so that a connection prepares it once. */
function preparer(onStatement: DbOptions['onStatement']): Prepare {
  const names = new Map<string, string>()
  return ({ text, values }) => {
    onStatement?.(text, values)
    const name = statementName(names, text)
    // Before anything is written: the driver would forget the statement of a value that cannot be sent, and remember that it has prepared it.
    const sent = values.map((value) => prepareValue(value))
    return name === undefined ? { text, values: sent, ...EXTENDED } : { name, text, values: sent }
  }
}

/** An option that the types of the driver do not name: a statement without values would be sent in a way that no unit can have. */
const EXTENDED: object = { queryMode: 'extended' }

function statementName(names: Map<string, string>, text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined || names.size >= MAX_NAMED_STATEMENTS) return known
  const name = createHash('sha256').update(text).digest('base64url').slice(0, 22)
  names.set(text, name)
  return name
}

function queryable(send: (statement: Sql) => Promise<pg.QueryResult>): Queryable {
  return {
    rows: async <T>(statement: Sql) => (await send(statement)).rows as T[],
    row: async <T>(statement: Sql) => (await send(statement)).rows[0] as T | undefined,
    run: async (statement) => (await send(statement)).rowCount ?? 0,
  }
}

async function runTransaction<T>(
  pool: pg.Pool,
  prepare: Prepare,
  work: (tx: Tx) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await attemptTransaction(pool, prepare, work, options)
    } catch (error) {
      if (attempt >= (options.retries ?? 3) || !isTransient(error)) throw error
    }
  }
}

async function attemptTransaction<T>(
  pool: pg.Pool,
  prepare: Prepare,
  work: (tx: Tx) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const client = await pool.connect()
  const conversation = createConversation(client, beginText(options))
  const callbacks: (() => void)[] = []
  const last: (() => Sql)[] = []
  let broken: Error | undefined
  try {
    const tx: Tx = {
      kind: 'tx',
      origin: pool,
      ...queryable((statement) => conversation.run(prepare(statement))),
      afterCommit: (callback) => callbacks.push(callback),
      withCommit: (statement) => last.push(statement),
      withClient: conversation.withClient,
    }
    const result = await work(tx)
    await conversation.commit(last.map((statement) => prepare(statement())))
    broken = conversation.lost
    for (const callback of callbacks) callback()
    return result
  } catch (error) {
    await conversation.rollback().catch((rollbackError: Error) => {
      broken = rollbackError
    })
    throw error
  } finally {
    client.release(broken)
  }
}

function beginText(options: TransactionOptions): string {
  const isolation = options.isolation === undefined ? '' : ` ISOLATION LEVEL ${options.isolation.toUpperCase()}`
  return `BEGIN${isolation}${options.readOnly ? ' READ ONLY' : ''}`
}

/** Deadlock or serialization failure: the same work may succeed when run again. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error)
  return code === '40P01' || code === '40001'
}

/** The five-character SQLSTATE of a database error, or the code of a network error. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Whether the error is the violation of this unique or exclusion constraint; used to translate it where the write is. */
export function violates(error: unknown, constraint: string): boolean {
  const code = errorCode(error)
  if (code !== '23505' && code !== '23P01' && code !== '23514' && code !== '23503') return false
  return (error as { constraint?: string }).constraint === constraint
}

const INT8 = 20
const TIMESTAMPTZ = 1184
const DATE = 1082
const parsers = new Map<number, (value: string) => unknown>([
  [INT8, Number],
  [TIMESTAMPTZ, parseInstant],
  [DATE, (value) => value],
])

/** The driver declares its types as an enum; the server may send any number. */
const parserOf = pg.types.getTypeParser as (oid: number, format?: string) => (value: string) => unknown

function getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  const own = format === 'binary' ? undefined : parsers.get(oid)
  return own ?? parserOf(oid, format)
}

/** `2025-02-11 13:21:54.18+00` becomes `2025-02-11T13:21:54.180000Z`; the session time zone is always UTC. */
function parseInstant(value: string): string {
  const end = value.length - 3
  const dot = value.indexOf('.')
  const seconds = dot === -1 ? value.slice(0, end) : value.slice(0, dot)
  const fraction = dot === -1 ? '000000' : value.slice(dot + 1, end).padEnd(6, '0')
  return `${seconds.replace(' ', 'T')}.${fraction}Z`
}
