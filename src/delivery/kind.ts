/** One piece of durable outgoing work, as its kind sees it. */
export interface Delivery {
  /** The same over every attempt, crash and replay. */
  id: string
  kind: string
  /** Deliveries to one destination share slots, pauses and statistics. */
  destination: string
  orderKey: string | null
  queuedAt: string
  expiresAt: string | null
  /** Attempts that ended with a result, before this one. */
  attempts: number
  /** Grows with every claim; a result brought under an older lease is refused. */
  lease: number
  firstAttemptAt: string
  dueAt: string
  /** Order of queueing. */
  seq: number
  /** Plain JSON, as queued. */
  payload: unknown
  /** What `render` made of it, stored before the first attempt; null for a kind without `render`. */
  content: unknown
}

/** What the attempt log keeps of the other side's answer. */
export interface Answer {
  /** HTTP or SMTP status. */
  status?: number
  /** First part of what the other side said; cut to 16 KB when stored. */
  answer?: string
  /** Milliseconds by name of the phase. */
  timings?: Record<string, number>
}

export type Outcome = Answer &
  (
    | { result: 'succeeded' }
    /** Final: kept in the failed list. */
    | { result: 'failed'; error: string }
    | {
        result: 'retry'
        error: string
        /** The other side asked to wait at least this long (Retry-After). */
        retryAfterMs?: number
        /** The destination as a whole is in trouble: nothing is sent to it for this long, and then one at a time until one succeeds. */
        pauseMs?: number
      }
    /** Switches the destination off; this delivery and all later ones wait as parked until it is enabled. */
    | { result: 'parked'; error: string }
  )

/** Thrown by `render` for what no further try can send. */
export class UndeliverableError extends Error {
  override readonly name = 'UndeliverableError'
}

/** A way to send something out of the building. */
export interface DeliveryKind {
  /** Stable: stored with every delivery. */
  name: string
  /** Attempts at once per destination and worker process, unless the destination has a number of its own. */
  slots: number
  attemptTimeoutMs: number
  /** Given up when this much time has passed since the first attempt. */
  maxAgeMs?: number
  /** Whether the payload is kept with a delivery that succeeded; a failed one always keeps it. */
  keepsPayload: boolean
  /** Makes what is sent, once, when first claimed; throwing counts as a failed attempt, an UndeliverableError is final. */
  render?(delivery: Delivery): Promise<unknown>
  /**
   * One attempt, numbered from 1. `signal` fires at the time limit, at a shutdown and when the lease was lost; the attempt must then let go
   * of its connection. Throwing is treated as `retry`.
   */
  deliver(delivery: Delivery, attempt: number, signal: AbortSignal): Promise<Outcome>
  /** Milliseconds until the next try after this many attempts; undefined gives up. */
  retryDelayMs(attempts: number): number | undefined
  /** Called when a delivery was given up, after that was stored; for the log. */
  onGivenUp?(delivery: Delivery, error: string): void
}
