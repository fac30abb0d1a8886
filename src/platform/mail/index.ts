import { join } from 'node:path'

import { createMailbox } from './mailbox.ts'
import { createSmtpTransport } from './smtp.ts'
import { smtpSettings, type SmtpConfig } from './smtp-settings.ts'
import type { MailTransport } from './transport.ts'

export { isMailAddress } from './address.ts'
export { escapeHtml, html, Html, mailLayout } from './html.ts'
export { listMailbox, pruneMailbox, type MailboxEntry } from './mailbox.ts'
export { composeMessage, MailAddressError, type Message, type MessageParts } from './message.ts'
export type { MailResult, MailTransport } from './transport.ts'

/** The folder of the local mailbox. */
export function mailboxFolder(dataDir: string): string {
  return join(dataDir, 'mailbox')
}

/** The configured mail server; without one, the local mailbox in the data folder. */
export function createMailTransport(config: SmtpConfig, dataDir: string): MailTransport {
  const settings = smtpSettings(config)
  return settings === undefined ? createMailbox(mailboxFolder(dataDir)) : createSmtpTransport(settings)
}
