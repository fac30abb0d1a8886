import type { Message } from './message.ts'

/** How handing over a mail ended. */
export type MailResult = {
  /** SMTP status of the answer that decided. */
  status?: number
  answer?: string
  timings?: Record<string, number>
} & (
  | { result: 'accepted' }
  /** This mail will never be accepted. */
  | { result: 'refused'; error: string }
  /** This mail was not accepted now. */
  | { result: 'deferred'; error: string }
  /** The server could not be talked to, or refuses this sender: no mail would get through now. */
  | { result: 'unavailable'; error: string }
)

export interface MailTransport {
  /** For the log: where mails go, without a password. */
  readonly target: string
  /** `id` names the mail over all attempts. Never throws for what the other side does; lets go of its connection when the signal fires. */
  send(id: string, message: Message, signal: AbortSignal): Promise<MailResult>
  /** Whether mails could be handed over now, found out without one. */
  check(signal: AbortSignal): Promise<boolean>
  close(): Promise<void>
}
