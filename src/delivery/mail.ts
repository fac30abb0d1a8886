import type { Tx } from '../platform/db/db.ts'
import { queueDeliveries, type NewDelivery } from './queue.ts'

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
  /** Not sent after this instant. */
  expiresAt?: Date
}

/** What is kept of a mail until it is rendered. */
export interface MailPayload {
  template: string
  to: string
  values: unknown
}

export const MAIL = 'mail'

/** Queues one mail in the caller's transaction; it is sent after commit by a worker. The same key twice queues one mail. */
export async function queueMail(tx: Tx, mail: NewMail): Promise<void> {
  await queueMails(tx, [mail])
}

/** Queues many mails, a thousand in a statement. */
export async function queueMails(tx: Tx, mails: readonly NewMail[]): Promise<void> {
  await queueDeliveries(tx, mails.map(newDelivery))
}

function newDelivery({ key, template, to, values, group, expiresAt }: NewMail): NewDelivery {
  const payload: MailPayload = { template, to, values }
  return { kind: MAIL, key, destination: group ?? template, payload, ...(expiresAt === undefined ? {} : { expiresAt }) }
}
