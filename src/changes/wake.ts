import type { Db, Tx } from '../platform/db/db.ts'

/** Per pool, what to do when a transaction with changes has committed; a process without a change log leaves it to the others' poll. */
const wakers = new WeakMap<object, () => void>()

/** Connects the transactions of a pool to the log; returns the way to take it back. */
export function connectWaker(db: Db, wake: () => void): () => void {
  wakers.set(db.origin, wake)
  return () => {
    if (wakers.get(db.origin) === wake) wakers.delete(db.origin)
  }
}

export function wakeAfterCommit(tx: Tx): void {
  tx.afterCommit(() => wakers.get(tx.origin)?.())
}
