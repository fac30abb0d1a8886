import { growingDelay } from '../../delivery/index.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/db/db.ts'
import { faultPoint } from '../../platform/fault.ts'
import type { Logger } from '../../platform/log.ts'
import type { Service } from '../../platform/service.ts'
import type { PaymentProvider } from './payment-provider.ts'
import {
  claimPayments,
  hasDuePayments,
  LEASE_SECONDS,
  postponePayment,
  renewClaims,
  type PaymentClaim,
} from './payment-queries.ts'
import { applyOutcome, applyRefund } from './payments.ts'

/** Payments under way at once in one process. */
const SLOTS = 4
const POLL_MS = 250
const RENEW_MS = (LEASE_SECONDS * 1_000) / 3
const ATTEMPT_TIMEOUT_MS = 30_000
const STOP_WAIT_MS = 2_000
/** Waits of about 1, 2, 4 s and so on, up to 5 minutes, for as long as it takes: whether money was taken must be found out. */
const retryDelay = growingDelay({ baseMs: 1_000, factor: 2, maxMs: 300_000, maxAttempts: Number.POSITIVE_INFINITY })

interface PaymentWorkerOptions {
  db: Db
  clock: Clock
  log: Logger
  provider: PaymentProvider
}

/**
 * Attempts due payments. Each is taken in hand by a commit before the provider is asked, and its result is written by another one after: a
 * worker that dies in between is followed by one that asks again under the same id.
 */
export function createPaymentWorker({ db, clock, log, provider }: PaymentWorkerOptions): Service {
  const inHand = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  let pollTimer: NodeJS.Timeout | undefined
  let renewTimer: NodeJS.Timeout | undefined
  let polling: Promise<void> | undefined
  let renewing: Promise<void> | undefined

  async function poll(): Promise<void> {
    try {
      let isMore = await hasDuePayments(db)
      while (isMore && !stopping.signal.aborted) {
        const room = SLOTS - inHand.size
        isMore = (await takeInHand(room)) === room
        if (isMore) await Promise.race(inHand.values())
      }
    } catch (error) {
      log.error({ err: error }, 'due payments could not be looked for, the worker goes on trying')
    }
    if (!stopping.signal.aborted) pollTimer = setTimeout(begin, POLL_MS)
  }

  async function takeInHand(room: number): Promise<number> {
    if (room === 0) return 0
    const claimed = await db.transaction((tx) => claimPayments(tx, room))
    faultPoint('payment-after-claim')
    for (const claim of claimed) {
      const attempted = attemptPayment(claim).finally(() => inHand.delete(claim.claim))
      inHand.set(claim.claim, attempted)
    }
    return claimed.length
  }

  function begin(): void {
    polling = poll()
  }

  async function attemptPayment(claim: PaymentClaim): Promise<void> {
    try {
      const isWritten = await attempt(claim)
      if (!isWritten) log.warn({ payment: claim.id }, 'the result of a payment came too late, somebody else has it')
    } catch (error) {
      await postpone(claim, error)
    }
  }

  async function attempt(claim: PaymentClaim): Promise<boolean> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)])
    faultPoint('payment-before-attempt')
    if (claim.status === 'refunding') {
      await unlessAborted(signal, provider.refund(claim, signal))
      faultPoint('payment-after-refund')
      return db.transaction((tx) => applyRefund(tx, claim))
    }
    const outcome = await unlessAborted(signal, provider.settle(claim, signal))
    faultPoint('payment-after-attempt')
    const isWritten = await db.transaction(async (tx) => {
      const isApplied = await applyOutcome(tx, claim, outcome, clock.now())
      faultPoint('payment-before-mark-commit')
      return isApplied
    })
    faultPoint('payment-after-mark')
    return isWritten
  }

  async function postpone(claim: PaymentClaim, error: unknown): Promise<void> {
    const isStopping = stopping.signal.aborted
    const text = error instanceof Error ? error.message : String(error)
    if (!isStopping) log.error({ err: error, payment: claim.id, provider: provider.name }, 'payment attempt failed')
    const delayMs = isStopping ? 0 : (retryDelay(claim.attempts) ?? 0)
    await db
      .transaction((tx) => postponePayment(tx, claim, { delayMs, error: text }))
      .catch((cause: unknown) =>
        // Its lease ends by itself.
        log.warn({ err: cause, payment: claim.id }, 'a payment could not be put back'),
      )
  }

  function keepInHand(): void {
    renewing = renew()
  }

  async function renew(): Promise<void> {
    if (inHand.size > 0) {
      const claims = [...inHand.keys()]
      await db
        .transaction((tx) => renewClaims(tx, claims))
        .catch((error: unknown) =>
          log.warn({ err: error }, 'payments in hand could not be kept, others may take them over'),
        )
    }
    if (!stopping.signal.aborted) renewTimer = setTimeout(keepInHand, RENEW_MS)
  }

  return {
    name: 'orders.payment-worker',
    start: async () => {
      begin()
      renewTimer = setTimeout(keepInHand, RENEW_MS)
    },
    stop: async () => {
      clearTimeout(pollTimer)
      clearTimeout(renewTimer)
      stopping.abort(new Error('the worker is stopping'))
      await Promise.all([polling, renewing])
      const ended = Promise.all(inHand.values())
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS).unref())])
    },
  }
}

/** Does not wait for a provider that ignores its signal. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
  }
}
