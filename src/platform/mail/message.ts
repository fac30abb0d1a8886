import MailComposer from 'nodemailer/lib/mail-composer'

import { headerText, isMailAddress } from './address.ts'

export interface MessageParts {
  /** Bare address, or `Name <address>`; the configured sender. */
  from: string
  to: string
  subject: string
  html: string
  text: string
  date: Date
  /** Local part of the Message-ID: unique, and the same over every attempt. */
  id: string
}

/** A mail ready to be sent as it is, any number of times. Plain JSON. */
export interface Message {
  messageId: string
  date: string
  envelope: { from: string; to: string }
  subject: string
  /** RFC 5322, with CRLF. */
  raw: string
}

/** Not an address that a mail can be sent to. */
export class MailAddressError extends Error {
  override readonly name = 'MailAddressError'
}

/** Writes the message with HTML and its plain text alternative (RFC 2046, section 5.1.4). Throws MailAddressError. */
export async function composeMessage(parts: MessageParts): Promise<Message> {
  if (!isMailAddress(parts.to)) throw new MailAddressError('the recipient is not a mail address')
  const subject = headerText(parts.subject)
  const node = new MailComposer({
    from: parts.from,
    to: { name: '', address: parts.to },
    subject,
    text: parts.text,
    html: parts.html,
    date: parts.date,
    messageId: `<${parts.id}@${domainOf(parts.from)}>`,
    // Templates hold text only: nothing they say may make the server read a file or fetch an address.
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: 'win',
    // Auto-Submitted keeps vacation responders quiet (RFC 3834, section 5).
    headers: { 'Auto-Submitted': 'auto-generated' },
  }).compile()
  const { from, to } = node.getEnvelope()
  if (from === false || from === undefined) throw new Error('MAIL_FROM is not a mail address')
  if (to.length !== 1) throw new MailAddressError('the recipient is not a mail address')
  const raw = (await node.build()).toString('latin1')
  return { messageId: node.messageId(), date: parts.date.toISOString(), envelope: { from, to: to[0]! }, subject, raw }
}

function domainOf(from: string): string {
  return /@([a-z0-9.-]+)>?\s*$/i.exec(from)?.[1] ?? 'localhost'
}
