import type pg from 'pg'

import { Commit, type Committed } from './commit.ts'
import { inOneWrite, sendPrepared, type Statement } from './statement.ts'

/** One transaction as its connection hears it. */
export interface Conversation {
  readonly run: (statement: Statement) => Promise<pg.QueryResult>
  readonly withClient: <T>(use: (client: pg.ClientBase) => Promise<T>) => Promise<T>
  /**
   * Sends COMMIT in one unit with what goes with it. What fails aborts the transaction and with it all that follows; its error, which says why
   * there was no commit, is the one that is thrown.
   */
  commit(last: readonly Statement[]): Promise<void>
  /** Throws when the connection is of no use any more. */
  rollback(): Promise<void>
  /** Why the connection is of no use any more although it has committed. */
  readonly lost: Error | undefined
}

/** `begin` is the text of its BEGIN, one of few. */
export function createConversation(client: pg.PoolClient, begin: string): Conversation {
  const BEGIN = { name: begin, text: begin, values: [] }
  let begun: Promise<unknown> | undefined
  let hasBegun = false
  let isOver = false
  let lost: Error | undefined

  /** What comes meanwhile waits for the answer: behind a BEGIN that was refused every statement would commit by itself. */
  function start<T>(first: Promise<T>): Promise<T> {
    begun = first.then(() => {
      hasBegun = true
    })
    // Whoever sent it hears of it.
    begun.catch(() => undefined)
    return first
  }

  async function untilBegun(): Promise<void> {
    requireOpen()
    if (begun === undefined) await start(sendInTurn(client, [BEGIN]))
    else await begun
    requireOpen()
  }

  /** What somebody left behind, or asks for when all is over, would run by itself or in the transaction of another. */
  function requireOpen(): void {
    if (isOver) throw new Error('the transaction is over')
  }

  return {
    run: async (statement) => {
      requireOpen()
      if (begun === undefined && hasPrepared(client, [BEGIN])) return start(beginWith(client, BEGIN, statement))
      if (!hasBegun) await untilBegun()
      requireOpen()
      return client.query(statement)
    },
    withClient: async (use) => {
      if (!hasBegun) await untilBegun()
      requireOpen()
      return use(client)
    },
    commit: async (last) => {
      await begun?.catch(() => undefined)
      if (begun !== undefined && !hasBegun) throw ignoredFailure()
      isOver = true
      if (begun === undefined && last.length === 0) return
      let rest = begun === undefined ? [BEGIN, ...last] : last
      if (!hasPrepared(client, rest)) {
        await start(sendInTurn(client, rest))
        rest = []
      }
      const committed = new Promise<Committed>(
        (resolve, reject) => void client.query(new Commit(rest, resolve, reject)),
      )
      begun ??= committed
      const { command, broken } = await committed
      lost = broken
      // A transaction that failed inside answers COMMIT with ROLLBACK and no error, so a swallowed error must not look like success.
      if (command !== 'COMMIT') throw ignoredFailure()
    },
    get lost() {
      return lost
    },
    rollback: async () => {
      isOver = true
      if (begun !== undefined) await client.query('ROLLBACK')
    },
  }
}

/** Names of statements that a connection is known to have prepared. */
const prepared = new WeakMap<pg.ClientBase, Set<string>>()

function hasPrepared(client: pg.ClientBase, statements: readonly Statement[]): boolean {
  const known = prepared.get(client)
  return statements.every(({ name }) => name !== undefined && known?.has(name) === true)
}

/** Each after the answer to the one before it; the connection has prepared them then. */
async function sendInTurn(client: pg.ClientBase, statements: readonly Statement[]): Promise<void> {
  const known = prepared.get(client) ?? new Set()
  prepared.set(client, known)
  for (const statement of statements) {
    await client.query(statement)
    if (statement.name !== undefined) known.add(statement.name)
  }
}

/**
 * Sends a prepared BEGIN and a first statement in one write and before one Sync, so that the server passes over the statement when it refuses
 * BEGIN (PostgreSQL documentation, "Extended Query", "Pipelining"): it would be a transaction of its own otherwise.
 */
async function beginWith(client: pg.PoolClient, begin: Statement, first: Statement): Promise<pg.QueryResult> {
  const { connection } = client
  const answer = await inOneWrite(connection, () => {
    sendPrepared(connection, begin)
    return client.query(first)
  })
  // The driver takes both answers for those of one query of two statements.
  return (answer as unknown as [pg.QueryResult, pg.QueryResult])[1]
}

function ignoredFailure(): Error {
  return new Error('the transaction was rolled back: a failed statement was ignored')
}
