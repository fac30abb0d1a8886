import type { Tx } from '../../platform/db/db.ts'

export interface DeletedUser {
  id: string
  /** Who deleted the user; null for the operator. */
  actor: string | null
}

/** Runs in the transaction that deletes the user; throwing undoes the deletion. */
export type UserDeletedHandler = (tx: Tx, user: DeletedUser, now: Date) => Promise<void>

const handlers = new Set<UserDeletedHandler>()

/** Registers what another module must do in the transaction that deletes a user. The same function twice counts once. */
export function onUserDeleted(handler: UserDeletedHandler): void {
  handlers.add(handler)
}

/** One after the other, in order of registration: they share the transaction. */
export async function runUserDeletedHandlers(tx: Tx, user: DeletedUser, now: Date): Promise<void> {
  for (const handler of handlers) await handler(tx, user, now)
}
