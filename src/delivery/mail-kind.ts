import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import {
  composeMessage,
  MailAddressError,
  type MailResult,
  type MailTransport,
  type Message,
  type MessageParts,
} from '../platform/mail/index.ts'
import type { Logger } from '../platform/log.ts'
import { UndeliverableError, type Delivery, type DeliveryKind, type Outcome } from './kind.ts'
import type { MailOutage } from './mail-outage.ts'
import type { MailTemplate } from './mail-template.ts'
import { MAIL, type MailPayload } from './mail.ts'
import { growingDelay } from './retry.ts'

/** Mails of one group at once in one process; the connections of the transport bound all groups together. */
const SLOTS = 4
/** Waits of about 1, 5, 25, 125 s: a server that asks for a second try usually means seconds. */
const RETRY = { baseMs: 1_000, factor: 5, maxMs: 30 * 60_000 }
/**
 * A server that is away stays away longer: from the second try on, minutes and then an hour. The probe of the outage ends these waits as soon as
 * the server is back.
 */
const UNAVAILABLE_WAITS_MS = [1_000, 5_000, 5 * 60_000, 60 * 60_000]
/** Nobody else tries while the server is away, until the probe has reached it. */
const PAUSE_MS = 60_000

interface MailKindOptions {
  config: Config['mail']
  clock: Clock
  log: Logger
  templates: readonly MailTemplate[]
  transport: MailTransport
  outage: MailOutage
  random?: () => number
}

/** Mail as a kind of delivery: rendered once with its Message-ID, then handed to the transport until it is accepted, refused or too old. */
export function createMailKind(options: MailKindOptions): DeliveryKind {
  const { config, clock, log, transport, outage } = options
  const templates = new Map(options.templates.map((template) => [template.name, template]))

  return {
    name: MAIL,
    slots: SLOTS,
    attemptTimeoutMs: config.attemptTimeoutMs,
    maxAgeMs: config.maxAgeMs,
    // Mails hold personal data; what was accepted is not kept.
    keepsPayload: false,
    render: async (delivery) => {
      const { template: name, to, values } = delivery.payload as MailPayload
      const template = templates.get(name)
      if (template === undefined) throw new Error(`there is no mail template "${name}"`)
      const rendered = template.render(values)
      return compose({ ...rendered, from: config.from, to, date: clock.now(), id: delivery.id })
    },
    deliver: async (delivery, attempt, signal) => {
      const message = delivery.content as Message
      const result = await transport.send(delivery.id, message, signal)
      log.debug({ delivery: delivery.id, to: message.envelope.to, result: result.result }, 'mail attempted')
      if (result.result === 'unavailable') outage.begin(result.error)
      else outage.end({ wasProven: result.result === 'accepted' })
      return outcomeOf(result, attempt)
    },
    retryDelayMs: growingDelay({
      ...RETRY,
      maxAttempts: config.maxAttempts,
      ...(options.random && { random: options.random }),
    }),
    onGivenUp: (delivery, error) => logGivenUp(log, delivery, error),
  }
}

async function compose(parts: MessageParts): Promise<Message> {
  try {
    return await composeMessage(parts)
  } catch (error) {
    throw error instanceof MailAddressError ? new UndeliverableError(error.message) : error
  }
}

function outcomeOf(result: MailResult, attempt: number): Outcome {
  const { result: how, ...answer } = result
  if (how === 'accepted') return { ...answer, result: 'succeeded' }
  if (how === 'refused') return { error: 'refused', ...answer, result: 'failed' }
  if (how === 'deferred') return { error: 'deferred', ...answer, result: 'retry' }
  const retryAfterMs = UNAVAILABLE_WAITS_MS[Math.min(attempt, UNAVAILABLE_WAITS_MS.length) - 1]!
  return { error: 'unavailable', ...answer, result: 'retry', pauseMs: PAUSE_MS, retryAfterMs }
}

function logGivenUp(log: Logger, delivery: Delivery, error: string): void {
  const { template, to } = delivery.payload as MailPayload
  log.warn({ delivery: delivery.id, template, attempts: delivery.attempts + 1, error }, 'mail given up')
  log.debug({ delivery: delivery.id, to }, 'recipient of the mail given up')
}
