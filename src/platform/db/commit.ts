import pg from 'pg'

import { inOneWrite, sendPrepared, type Statement } from './statement.ts'

export interface Committed {
  /** What the server says it did: COMMIT, or ROLLBACK of a transaction that had failed inside. */
  command: string
  /** Of a connection that was lost after that. */
  broken?: Error
}

/**
 * Prepared statements and COMMIT in one write and before one Sync: the server passes over all that follow one that fails, COMMIT included. A
 * kind of query, because the driver refuses others on connections that pipeline; it calls the methods below by name. A backend that is told to
 * end looks for that before it reads the Sync: it has committed then and said so, and answers with an error all the same.
 */
export class Commit extends pg.Query {
  private command = ''

  constructor(
    private readonly statements: readonly Statement[],
    private readonly resolve: (committed: Committed) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    super('COMMIT')
  }

  override submit = (connection: pg.Connection): void => {
    inOneWrite(connection, () => {
      for (const statement of this.statements) sendPrepared(connection, statement)
      connection.parse({ name: '', text: 'COMMIT', types: [] }, true)
      connection.bind({}, true)
      connection.execute(null, true)
      connection.sync()
    })
  }

  /** Nobody asked for rows. */
  handleDataRow(): void {}

  handleCommandComplete({ text }: { text: string }): void {
    this.command = text
  }

  handleReadyForQuery(): void {
    this.resolve({ command: this.command })
  }

  handleError(error: Error): void {
    if (this.command === 'COMMIT') this.resolve({ command: this.command, broken: error })
    else this.reject(error)
  }
}
