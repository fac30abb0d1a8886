import type { PaymentMethod } from './payment-queries.ts'

export interface Payment {
  /** The idempotency key: the same over every attempt, crash and take-over. */
  id: string
  orderId: string
  method: PaymentMethod
  reference: string | null
  /** Minor units. */
  amount: number
}

/** `held`: neither; the order waits for the customer or for staff. */
export type PaymentOutcome = 'accepted' | 'declined' | 'held'

/**
 * Whoever moves the money. Both calls are made outside of any transaction, at least once, and may be made again after a crash: a provider
 * knows the payment by its id and does nothing a second time. Throwing means that the result is not known; the call is made again later.
 */
export interface PaymentProvider {
  name: string
  /** Takes the money, or says that it has been taken. */
  settle(payment: Payment, signal: AbortSignal): Promise<PaymentOutcome>
  /** Gives back whatever was taken under this id, nothing included, and takes nothing under it from then on. */
  refund(payment: Payment, signal: AbortSignal): Promise<void>
}

/** Moves no money: the reference says how the payment ends (store contract, section 5.2). */
export const pseudoProvider: PaymentProvider = {
  name: 'pseudo',
  settle: async ({ reference }) => {
    if (reference?.startsWith('pseudo-decline')) return 'declined'
    return reference?.startsWith('pseudo-hold') ? 'held' : 'accepted'
  },
  refund: async () => undefined,
}
