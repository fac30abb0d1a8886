import type { Tx } from '../platform/db/db.ts'

export interface NewMail {
  /** Unique for ever: queueing the same key again does nothing, so a repeated subscriber sends nothing twice. */
  key: string
  /** Name of a MailTemplate. */
  template: string
  to: string
  /** Plain JSON for the template. */
  values: unknown
  /** Mails of the same group share slots and statistics; default the template name. */
  group?: string
}

/** Queues one mail in the caller's transaction; it is sent after commit by a worker. The same key twice queues one mail. */
export async function queueMail(tx: Tx, mail: NewMail): Promise<void> {
  await queueMails(tx, [mail])
}

/** Queues many mails in one statement. */
export async function queueMails(_tx: Tx, _mails: readonly NewMail[]): Promise<void> {
  throw new Error('not built yet')
}
