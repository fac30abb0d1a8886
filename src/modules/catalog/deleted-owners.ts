import { sql } from '../../platform/db/sql.ts'
import type { Tx } from '../../platform/db/db.ts'
import { UnauthenticatedError } from '../../platform/errors.ts'

/** Class of the advisory locks whose second number is made of the owner; any fixed number. */
const OWNER_LOCK = 723_651

/**
 * Must come before products are stored for an owner: throws UnauthenticatedError when the owner has been deleted, and otherwise makes a
 * deletion wait until this transaction has ended, so that nothing is stored behind it. Writers of one owner do not wait for each other.
 */
export async function requireActiveOwner(tx: Tx, ownerId: string): Promise<void> {
  // The look is a statement of its own: it must see what was committed while the lock was waited for.
  await tx.run(sql`SELECT pg_advisory_xact_lock_shared(${OWNER_LOCK}, hashtext(${ownerId}))`)
  const gone = await tx.row(sql`SELECT 1 FROM deleted_owners WHERE owner_id = ${ownerId}`)
  if (gone !== undefined) throw new UnauthenticatedError('The user of this credential has been deleted.')
}

/** Waits for the open transactions that store products of an owner; later ones will find the row the caller is about to insert. */
export async function lockOutOwner(tx: Tx, ownerId: string): Promise<void> {
  await tx.run(sql`SELECT pg_advisory_xact_lock(${OWNER_LOCK}, hashtext(${ownerId}))`)
}

/**
 * Condition on a product: its owner is not a deleted user whose products still wait for their own deletion. As a sub-select it is hashed
 * once and the planner takes it for one row in two; as `<> ALL (ARRAY(...))` it was taken to leave nothing when one owner has most products,
 * and a page of 20 was searched for by parallel workers.
 */
export const ownerPresent = sql`owner_id NOT IN (SELECT owner_id FROM deleted_owners WHERE finished IS NULL)`
