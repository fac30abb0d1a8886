import type { Logger } from '../platform/log.ts'

/** The head of the log as this process knows it, and those who want to hear of it. */
export interface KnownHead {
  readonly position: number
  /** A pass of this process found the head here; `knownBefore` is where this process knew it when the pass was sent. */
  readonly found: (position: number, knownBefore: number) => void
  /** Another process says that the head has come this far. */
  readonly told: (position: number) => void
  readonly onAdvance: (listener: () => void) => () => void
  /** The log is an older copy of itself: what is known of positions is worth nothing. */
  readonly onReset: (listener: () => void) => void
}

export function createKnownHead(log: Logger): KnownHead {
  const listeners = new Set<() => void>()
  const resetListeners: (() => void)[] = []
  let head = 0

  function found(position: number, knownBefore: number): void {
    const hasGoneBack = position < knownBefore
    // Another process may have sequenced more while the answer of the pass was on its way.
    if (position === head || (position < head && !hasGoneBack)) return
    head = position
    if (hasGoneBack) {
      log.warn('the change log has gone back in time, all cursors are read again')
      for (const listener of resetListeners) listener()
    }
    for (const listener of listeners) listener()
  }

  return {
    get position() {
      return head
    },
    found,
    // Possibly older than what this process has found since.
    told: (position) => found(Math.max(head, position), head),
    onAdvance: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onReset: (listener) => void resetListeners.push(listener),
  }
}
