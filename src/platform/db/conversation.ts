import type pg from 'pg'

export type SentValue = Buffer | string | null

/** What the driver is asked to run; without a name it is prepared for once. */
export interface Statement {
  name?: string
  text: string
  /** As they are sent. */
  values: SentValue[]
}

/** One transaction as its connection hears it. */
export interface Conversation {
  readonly run: (statement: Statement) => Promise<pg.QueryResult>
  readonly withClient: <T>(use: (client: pg.ClientBase) => Promise<T>) => Promise<T>
  /**
   * Sends COMMIT in one write with what goes with it. What fails aborts the transaction and with it all that follows;
   * its error, which says why there was no commit, is the one that is thrown.
   */
  commit(last: readonly Statement[]): Promise<void>
  /** Throws when the connection is of no use any more. */
  rollback(): Promise<void>
}

/** `begin` is the text of its BEGIN, one of few. */
export function createConversation(client: pg.PoolClient, begin: string): Conversation {
  const BEGIN = { name: begin, text: begin, values: [] }
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

  async function untilBegun(): Promise<void> {
    requireOpen()
    if (begun === undefined) await start(sendInTurn(client, [BEGIN]))
    else if (!hasBegun) await begun
    requireOpen()
  }

  /** What somebody left behind, or asks for when all is over, would run by itself or in the transaction of another. */
  function requireOpen(): void {
    if (isOver) throw new Error('the transaction is over')
  }

  return {
    run: async (statement) => {
      requireOpen()
      if (begun === undefined && hasPrepared(client, [BEGIN])) return start(sendAsUnit(client, [BEGIN, statement]))
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
      const rest = begun === undefined ? [BEGIN, ...last] : last
      const isReady = hasPrepared(client, rest.slice(0, -1))
      if (!isReady) await start(sendInTurn(client, rest))
      const [, answer] = await inOneWrite(client, () => {
        const unit = isReady && rest.length > 0 ? start(sendAsUnit(client, rest)) : Promise.resolve()
        // Outside the unit, in the simple protocol: before a Sync, a server that is told to end would commit and not say so.
        return Promise.all([unit, client.query('COMMIT')])
      })
      // A transaction that failed inside answers COMMIT with ROLLBACK and no error, so a swallowed error must not look like success.
      if (answer.command !== 'COMMIT') throw ignoredFailure()
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

/** Each after the answer to the one before it; the connection has prepared them then. Returns the last answer. */
async function sendInTurn(client: pg.ClientBase, statements: readonly Statement[]): Promise<pg.QueryResult> {
  const known = prepared.get(client) ?? new Set()
  prepared.set(client, known)
  let answer: pg.QueryResult | undefined
  for (const statement of statements) {
    answer = await client.query(statement)
    if (statement.name !== undefined) known.add(statement.name)
  }
  return answer!
}

/**
 * Sends statements in one write and before one Sync, so that the server passes over all that follow one that it refuses (PostgreSQL
 * documentation, "Extended Query", "Pipelining"): what is behind a refused BEGIN would be transactions of its own otherwise. All but the last
 * one must be prepared. Returns the last answer.
 */
async function sendAsUnit(client: pg.PoolClient, statements: readonly Statement[]): Promise<pg.QueryResult> {
  const { connection } = client
  const answer = await inOneWrite(client, () => {
    for (const { name, values } of statements.slice(0, -1)) {
      connection.bind({ statement: name, values }, true)
      // Rows that were not announced would be answered with an error, behind a COMMIT.
      connection.describe({ type: 'P', name: '' }, true)
      connection.execute(null, true)
    }
    return client.query(statements.at(-1)!)
  })
  // The driver takes all of it for one query, of several statements if there is more than one.
  const answers = answer as pg.QueryResult | pg.QueryResult[]
  return Array.isArray(answers) ? answers.at(-1)! : answers
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
