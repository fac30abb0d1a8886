import { ForbiddenError } from '../../platform/errors.ts'
import type { Caller } from '../../platform/http/caller.ts'

/** Confirming and cancelling is the customer's alone, whatever the caller's role. */
export function requireCustomer(caller: Caller, order: { customerId: string }): void {
  if (caller.userId !== order.customerId) throw new ForbiddenError()
}

export function requireReader(caller: Caller, order: { customerId: string }): void {
  if (!caller.isStaff) requireCustomer(caller, order)
}
