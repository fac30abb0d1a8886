import type pg from 'pg'

import type { Db, Row } from '../platform/db/db.ts'
import type { Sql } from '../platform/db/sql.ts'

/**
 * One connection of a worker's own. Leases must be renewed while requests have taken every connection of the pool, and the plan of a claim
 * must not depend on whether the table was empty when it was made, so sequential scans are off here.
 */
export interface Connection {
  readonly rows: <T = Row>(statement: Sql) => Promise<T[]>
  /** Runs the work in one transaction, with no other statement of this connection in between. */
  transaction<T>(work: (rows: Connection['rows']) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A statement that takes longer is ended: the worker's lease would run out behind it. */
const STATEMENT_TIMEOUT_MS = 15_000
/** After this a silent network is taken for a dead one; longer than the server's own limit. */
const SILENCE_MS = 20_000

/** Opens on first use and again after the connection was lost; a call that meets the loss throws. */
export function openConnection(db: Db, applicationName: string): Connection {
  const names = new Map<string, string>()
  let current: pg.Client | undefined
  let tail: Promise<unknown> = Promise.resolve()

  async function connected(): Promise<pg.Client> {
    if (current !== undefined) return current
    const opened = await db.connect(applicationName)
    const forget = () => {
      if (current === opened) current = undefined
    }
    opened.on('error', forget)
    opened.on('end', forget)
    current = opened
    await query(opened, `SET enable_seqscan = off; SET statement_timeout = ${STATEMENT_TIMEOUT_MS}`)
    return opened
  }

  /** Transactions of several statements must not mix, so everything waits in line. */
  function inLine<T>(work: () => Promise<T>): Promise<T> {
    const result = tail.then(work)
    tail = result.catch(() => undefined)
    return result
  }

  async function send<T>(opened: pg.Client, statement: Sql): Promise<T[]> {
    const name = names.get(statement.text) ?? `delivery_${names.size}`
    names.set(statement.text, name)
    return (await query(opened, { name, text: statement.text, values: statement.values })).rows as T[]
  }

  async function transact<T>(work: (rows: Connection['rows']) => Promise<T>): Promise<T> {
    const opened = await connected()
    try {
      await query(opened, 'BEGIN')
      const result = await work((statement) => send(opened, statement))
      await query(opened, 'COMMIT')
      return result
    } catch (error) {
      // Whatever state the connection is in, a new one is clean.
      current = undefined
      await opened.end().catch(() => undefined)
      throw error
    }
  }

  return {
    rows: (statement) => inLine(async () => send(await connected(), statement)),
    transaction: (work) => inLine(() => transact(work)),
    close: () =>
      inLine(async () => {
        await current?.end()
        current = undefined
      }),
  }
}

async function query(client: pg.Client, config: string | pg.QueryConfig): Promise<pg.QueryResult> {
  const timer = setTimeout(() => client.connection.stream.destroy(), SILENCE_MS)
  try {
    return await client.query(config)
  } finally {
    clearTimeout(timer)
  }
}
