import type { Delivery, DeliveryKind, Outcome } from './kind.ts'
import type { Result } from './result-queries.ts'

/** Of an answer, this much is kept. */
const ANSWER_BYTES = 16 * 1024
const ERROR_CHARACTERS = 2_000

interface AttemptRun {
  outcome: Outcome
  /** The time limit ended it. */
  isTimeout: boolean
}

/**
 * Runs one attempt under its time limit. Undefined when `stop` ended it: then nothing is known about its result. Never throws, and never waits
 * for a kind that ignores its signal.
 */
export async function runAttempt(
  kind: DeliveryKind,
  delivery: Delivery,
  stop: AbortSignal,
): Promise<AttemptRun | undefined> {
  const control = new AbortController()
  const abort = () => control.abort()
  const timer = setTimeout(abort, kind.attemptTimeoutMs)
  stop.addEventListener('abort', abort)
  const ended = new Promise<'ended'>((resolve) => control.signal.addEventListener('abort', () => resolve('ended')))
  try {
    if (stop.aborted) return undefined
    const outcome = await Promise.race([outcomeOf(kind, delivery, control.signal), ended])
    if (stop.aborted && (outcome === 'ended' || outcome.result !== 'succeeded')) return undefined
    if (outcome !== 'ended' && !(control.signal.aborted && outcome.result === 'retry'))
      return { outcome, isTimeout: false }
    return { outcome: { result: 'retry', error: `timed out after ${kind.attemptTimeoutMs} ms` }, isTimeout: true }
  } finally {
    clearTimeout(timer)
    stop.removeEventListener('abort', abort)
  }
}

async function outcomeOf(kind: DeliveryKind, delivery: Delivery, signal: AbortSignal): Promise<Outcome> {
  try {
    return await kind.deliver(delivery, delivery.attempts + 1, signal)
  } catch (error) {
    return { result: 'retry', error: messageOf(error) }
  }
}

/** Why the delivery must not be tried any more; undefined when it may be. */
export function tooLate(kind: DeliveryKind, delivery: Delivery, now: Date): string | undefined {
  if (delivery.expiresAt !== null && Date.parse(delivery.expiresAt) <= now.getTime())
    return 'not sent: its time has passed'
  return isTooOld(kind, delivery, now.getTime()) ? `given up: first tried at ${delivery.firstAttemptAt}` : undefined
}

function isTooOld(kind: DeliveryKind, delivery: Delivery, at: number): boolean {
  return kind.maxAgeMs !== undefined && at - Date.parse(delivery.firstAttemptAt) > kind.maxAgeMs
}

/** Turns the end of an attempt into what is stored: a retry that is out of tries, or would come too late, is final. */
export function decide(
  kind: DeliveryKind,
  delivery: Delivery,
  outcome: Outcome,
  run: { startedAt: Date; durationMs: number; now: Date },
): Result {
  const { answer, isCut } = cut(outcome.answer)
  const shared = {
    delivery,
    pauseMs: outcome.result === 'retry' ? (outcome.pauseMs ?? 0) : 0,
    delayMs: 0,
    keepsPayload: kind.keepsPayload,
    isAttempt: true,
    startedAt: run.startedAt.toISOString(),
    durationMs: run.durationMs,
    status: outcome.status ?? null,
    answer,
    isCut,
    timings: outcome.timings ?? null,
  }
  if (outcome.result === 'succeeded') return { ...shared, result: 'succeeded', error: null }
  const error = storable(outcome.error).slice(0, ERROR_CHARACTERS)
  if (outcome.result !== 'retry') return { ...shared, result: outcome.result, error }
  const delayMs = nextDelay(kind, delivery, outcome.retryAfterMs ?? 0, run.now.getTime())
  return delayMs === undefined ? { ...shared, result: 'failed', error } : { ...shared, result: 'retry', error, delayMs }
}

function nextDelay(kind: DeliveryKind, delivery: Delivery, atLeastMs: number, now: number): number | undefined {
  const scheduled = kind.retryDelayMs(delivery.attempts + 1)
  if (scheduled === undefined) return undefined
  const delay = Math.max(scheduled, atLeastMs)
  const isPointless = delivery.expiresAt !== null && Date.parse(delivery.expiresAt) <= now + delay
  return isPointless || isTooOld(kind, delivery, now + delay) ? undefined : delay
}

/** A final result for work that was not tried at all. */
export function giveUp(kind: DeliveryKind, delivery: Delivery, error: string, now: Date): Result {
  const run = { startedAt: now, durationMs: 0, now }
  return { ...decide(kind, delivery, { result: 'failed', error }, run), isAttempt: false }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}

function cut(answer: string | undefined): { answer: string | null; isCut: boolean } {
  if (answer === undefined) return { answer: null, isCut: false }
  const bytes = Buffer.from(storable(answer))
  if (bytes.length <= ANSWER_BYTES) return { answer: bytes.toString(), isCut: false }
  // A character cut in two becomes a replacement character, which is dropped.
  return {
    answer: bytes
      .subarray(0, ANSWER_BYTES)
      .toString()
      .replace(/\uFFFD$/, ''),
    isCut: true,
  }
}

/** PostgreSQL texts hold no NUL. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '')
}
