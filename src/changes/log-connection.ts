import type pg from 'pg'

import type { Db } from '../platform/db/db.ts'
import type { Sql } from '../platform/db/sql.ts'
import type { Logger } from '../platform/log.ts'

/** One connection of the log's own, outside the pool: sequencing must not wait behind requests, and listening needs a steady one. */
export interface LogConnection {
  /** Connects; throws when the database cannot be reached. From then on a lost connection is replaced until `close`. */
  open(): Promise<void>
  /** Rows of one statement, each a transaction of its own; throws while the connection is lost. */
  rows<T>(statement: Sql): Promise<T[]>
  close(): Promise<void>
}

export interface LogConnectionOptions {
  db: Db
  log: Logger
  channels: readonly string[]
  onNotification(channel: string, payload: string): void
  /** The connection has gone; what comes after it may be another log. */
  onLoss(): void
  /** After every connect but the first: notifications may have been missed. */
  onReconnect(): void
}

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** Whoever waits longer for the lock or for rows gives up and tries again: another process may be better off. */
const LOCK_TIMEOUT_MS = 2_000
const STATEMENT_TIMEOUT_MS = 30_000

export function createLogConnection(options: LogConnectionOptions): LogConnection {
  const { db, log, channels } = options
  const names = new Map<string, string>()
  let client: pg.Client | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false

  async function connect(): Promise<void> {
    const opened = await db.connect('souk changes')
    opened.on('notification', ({ channel, payload }) => options.onNotification(channel, payload ?? ''))
    opened.on('error', () => lose(opened))
    opened.on('end', () => lose(opened))
    try {
      await opened.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`)
      for (const channel of channels) await opened.query(`LISTEN ${channel}`)
    } catch (error) {
      await opened.end().catch(() => undefined)
      throw error
    }
    if (isClosed) await opened.end()
    else client = opened
  }

  function lose(lost: pg.Client): void {
    if (client !== lost) return
    client = undefined
    if (isClosed) return
    options.onLoss()
    log.warn('the connection of the change log was lost, connecting again')
    reconnectAfter(FIRST_RETRY_MS)
  }

  function reconnectAfter(milliseconds: number): void {
    // Jitter, so that a restarted server does not meet all processes at once.
    retry = setTimeout(() => void reconnect(milliseconds), milliseconds * (0.5 + Math.random() / 2))
  }

  async function reconnect(waited: number): Promise<void> {
    try {
      await connect()
    } catch (error) {
      log.warn({ err: error }, 'the change log cannot reach the database')
      if (!isClosed) reconnectAfter(Math.min(waited * 2, LAST_RETRY_MS))
      return
    }
    log.info('the change log is connected again')
    options.onReconnect()
  }

  return {
    open: connect,
    rows: async <T>(statement: Sql) => {
      if (client === undefined) throw new Error('the change log is not connected')
      const name = names.get(statement.text) ?? `changes_${names.size}`
      names.set(statement.text, name)
      return (await client.query({ name, text: statement.text, values: statement.values })).rows as T[]
    },
    close: async () => {
      isClosed = true
      clearTimeout(retry)
      const open = client
      client = undefined
      await open?.end().catch(() => undefined)
    },
  }
}
