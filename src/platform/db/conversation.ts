import type pg from 'pg'
import type { Sql } from 'sql-template-tag'

/** One transaction as its connection hears it. */
export interface Conversation {
  readonly run: (statement: Sql) => Promise<pg.QueryResult>
  readonly withClient: <T>(use: (client: pg.ClientBase) => Promise<T>) => Promise<T>
  /**
   * Sends COMMIT together with what goes with it, in one write. What fails aborts the transaction and with it all that follows; its error,
   * which says why there was no commit, is the one that is thrown.
   */
  commit(last: readonly (() => Sql)[]): Promise<void>
  /** Throws when the connection is of no use any more. */
  rollback(): Promise<void>
}

type Send = (statement: Sql) => Promise<pg.QueryResult>

/** `begin` is the text of its BEGIN, one of few; `send` prepares what it sends, which lets the first statement share its unit with BEGIN. */
export function createConversation(client: pg.PoolClient, send: Send, begin: string): Conversation {
  let begun: Promise<unknown> | undefined
  let hasBegun = false
  let isOver = false

  /** What comes meanwhile waits for the answer: behind a BEGIN that was refused every statement would commit by itself. */
  function start<T>(first: Promise<T>): Promise<T> {
    begun = first.then(() => {
      hasBegun = true
    })
    // Whoever sent it hears of it.
    begun.catch(() => undefined)
    return first
  }

  async function run(statement: Sql): Promise<pg.QueryResult> {
    requireOpen()
    if (begun === undefined) return start(beginWith(client, begin, () => sendIfOpen(statement)))
    if (!hasBegun) await begun
    return sendIfOpen(statement)
  }

  function sendIfOpen(statement: Sql): Promise<pg.QueryResult> {
    requireOpen()
    return send(statement)
  }

  /** What somebody left behind, or asks for when all is over, would run by itself or in the transaction of another. */
  function requireOpen(): void {
    if (isOver) throw new Error('the transaction is over')
  }

  return {
    run,
    withClient: async (use) => {
      requireOpen()
      if (begun === undefined) await start(beginAlone(client, begin))
      if (!hasBegun) await begun
      requireOpen()
      return use(client)
    },
    commit: async (last) => {
      let rest = last
      if (begun === undefined) {
        const [first, ...others] = last
        if (first === undefined) return
        await run(first())
        rest = others
      }
      await begun?.catch(() => undefined)
      if (!hasBegun) throw ignoredFailure()
      isOver = true
      const answers = await Promise.all(
        inOneWrite(client, () => [...rest.map((statement) => send(statement())), client.query('COMMIT')]),
      )
      // A transaction that failed inside answers COMMIT with ROLLBACK and no error, so a swallowed error must not look like success.
      if (answers.at(-1)!.command !== 'COMMIT') throw ignoredFailure()
    },
    rollback: async () => {
      isOver = true
      if (begun !== undefined) await client.query('ROLLBACK')
    },
  }
}

/** The texts of BEGIN that a connection has prepared, each under itself as its name. */
const prepared = new WeakMap<pg.ClientBase, Set<string>>()

/**
 * Sends BEGIN and the first statement in one write and before one Sync, so that the server passes over the statement when it refuses BEGIN
 * (PostgreSQL documentation, section "Pipelining" of the extended query protocol): by itself it would be a transaction of its own.
 */
async function beginWith(
  client: pg.PoolClient,
  begin: string,
  sendFirst: () => Promise<pg.QueryResult>,
): Promise<pg.QueryResult> {
  if (prepared.get(client)?.has(begin) !== true) {
    await beginAlone(client, begin)
    return sendFirst()
  }
  const answer = await inOneWrite(client, () => {
    client.connection.bind({ statement: begin }, true)
    client.connection.execute(null, true)
    return sendFirst()
  })
  // The driver takes both answers for those of one query of two statements.
  return (answer as unknown as [pg.QueryResult, pg.QueryResult])[1]
}

async function beginAlone(client: pg.ClientBase, begin: string): Promise<void> {
  await client.query({ name: begin, text: begin })
  const known = prepared.get(client) ?? new Set()
  prepared.set(client, known.add(begin))
}

function inOneWrite<T>({ connection: { stream } }: pg.PoolClient, write: () => T): T {
  stream.cork()
  try {
    return write()
  } finally {
    stream.uncork()
  }
}

function ignoredFailure(): Error {
  return new Error('the transaction was rolled back: a failed statement was ignored')
}
