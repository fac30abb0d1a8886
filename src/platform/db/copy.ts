import pg from 'pg'

import type { Tx } from './db.ts'

/** What the driver offers for COPY beside what its types say. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(reason: string): void
}

/**
 * Loads rows with COPY, which costs both sides less than half of an INSERT: `into` names a table and its columns, `pieces` are rows as
 * `copyRow` writes them, any number in each. A piece is made only when the one before it is sent, and the event loop is given back in between.
 * Returns the number of rows.
 */
export function copyRows(tx: Tx, into: string, pieces: Iterable<string>): Promise<number> {
  const statement = `COPY ${into} FROM STDIN`
  return tx.withClient(
    (client) => new Promise((resolve, reject) => void client.query(new CopyIn(statement, pieces, resolve, reject))),
  )
}

export type CopyValue = string | number | boolean | null

const NULL = '\\N'

/** One row in the text format of COPY (PostgreSQL documentation, "COPY", section "Text Format"). */
export function copyRow(values: readonly CopyValue[]): string {
  let row = ''
  for (let index = 0; index < values.length; index++) {
    if (index > 0) row += '\t'
    const value = values[index]!
    if (value === null) row += NULL
    else row += typeof value === 'string' ? escaped(value) : value
  }
  return `${row}\n`
}

const SPECIAL = /[\\\t\n\r]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function escaped(text: string): string {
  return SPECIAL.test(text) ? text.replaceAll(/[\\\t\n\r]/g, (character) => ESCAPES[character]!) : text
}

/**
 * The conversation of one COPY, as the driver wants it of those who bring their own (it calls these methods by name). A kind of query, because
 * others are refused by connections that pipeline: nothing may be sent behind it until it is over, which whoever waits for the rows ensures.
 */
class CopyIn extends pg.Query {
  private isOver = false
  private count = 0
  private fault: unknown

  constructor(
    private readonly statement: string,
    private readonly pieces: Iterable<string>,
    private readonly resolve: (rows: number) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    super(statement)
  }

  override submit = (connection: pg.Connection): void => {
    connection.query(this.statement)
  }

  handleCopyInResponse(connection: CopyConnection): void {
    this.send(connection).then(
      () => {
        // After a refusal the next statement may be a COPY too, which this would end.
        if (!this.isOver) connection.endCopyFrom()
      },
      (error: unknown) => {
        this.fault = error
        // Answered with an error, which ends the conversation.
        if (!this.isOver) connection.sendCopyFail('the rows could not be made')
      },
    )
  }

  private async send(connection: CopyConnection): Promise<void> {
    for (const piece of this.pieces) {
      if (this.isOver) return
      connection.sendCopyFromChunk(Buffer.from(piece))
      await roomIn(connection.stream)
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.count = Number(text.slice('COPY '.length))
  }

  handleReadyForQuery(): void {
    this.resolve(this.count)
  }

  handleError(error: Error): void {
    this.isOver = true
    this.reject(this.fault ?? error)
  }
}

/** Until the stream takes more; at least a turn of the event loop. */
function roomIn(stream: pg.Connection['stream']): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return new Promise((resolve) => setImmediate(resolve))
  return new Promise((resolve) => {
    const go = (): void => {
      stream.off('drain', go).off('close', go)
      resolve()
    }
    stream.on('drain', go).on('close', go)
  })
}
