/** A destination of a kind. */
export interface Target {
  kind: string
  destination: string
}

type Listener = (targets: readonly Target[]) => void

const listeners = new Set<Listener>()

/** Tells the workers of this process that work was committed. Only a hint: workers elsewhere find it with their next poll. */
export function wakeWorkers(targets: readonly Target[]): void {
  for (const listener of listeners) listener(targets)
}

/** Returns the way to stop listening. */
export function onWake(listener: Listener): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** One text per target, for maps; no kind contains a line break. */
export function targetKey(target: Target): string {
  return `${target.kind}\n${target.destination}`
}
