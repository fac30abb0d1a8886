import type pg from 'pg'

export type SentValue = Buffer | string | null

/** What the driver is asked to run; without a name it is prepared for once. */
export interface Statement {
  name?: string
  text: string
  /** As they are sent. */
  values: SentValue[]
}

/** Sends what the connection has prepared, as a part of a unit: the Sync behind it is the caller's. */
export function sendPrepared(connection: pg.Connection, { name, values }: Statement): void {
  connection.bind({ statement: name, values }, true)
  connection.execute(null, true)
}

/** What the connection is given meanwhile leaves as one piece. */
export function inOneWrite<T>({ stream }: pg.Connection, write: () => T): T {
  stream.cork()
  try {
    return write()
  } finally {
    stream.uncork()
  }
}
