import type { AudienceKey } from '../changes/index.ts'
import type { Audience } from './audience.ts'
import type { Entry } from './entry.ts'
import { patternsCovering } from './topic-patterns.ts'

/** Whoever is live: gets each change that is for it, once, the moment it is read from the log. */
export interface Listener {
  /** The position of the last change it was given; guards against hearing one twice by two keys or patterns. */
  lastHeard: number
  hear(entry: Entry): void
}

type Key = AudienceKey | 'all'

/** Listeners by audience key and topic pattern, so that a change finds its listeners and never asks the others. */
export class Listeners {
  readonly #byKey = new Map<Key, Map<string, Set<Listener>>>()

  add(listener: Listener, audience: Audience, patterns: readonly string[]): void {
    for (const key of keysOf(audience)) {
      const byPattern = getOrSet(this.#byKey, key, () => new Map<string, Set<Listener>>())
      for (const pattern of patterns) getOrSet(byPattern, pattern, () => new Set<Listener>()).add(listener)
    }
  }

  remove(listener: Listener, audience: Audience, patterns: readonly string[]): void {
    for (const key of keysOf(audience)) {
      const byPattern = this.#byKey.get(key)
      if (byPattern === undefined) continue
      for (const pattern of patterns) {
        const listeners = byPattern.get(pattern)
        listeners?.delete(listener)
        if (listeners?.size === 0) byPattern.delete(pattern)
      }
      if (byPattern.size === 0) this.#byKey.delete(key)
    }
  }

  /** Hands the change to everyone it is for and returns how many that were. */
  dispatch(entry: Entry): number {
    let heard = this.#dispatchTo('all', entry)
    for (const key of entry.change.audience) heard += this.#dispatchTo(key, entry)
    return heard
  }

  #dispatchTo(key: Key, entry: Entry): number {
    const byPattern = this.#byKey.get(key)
    if (byPattern === undefined) return 0
    let heard = 0
    for (const pattern of patternsCovering(entry.change.topic)) {
      const listeners = byPattern.get(pattern)
      if (listeners === undefined) continue
      for (const listener of listeners) {
        if (listener.lastHeard >= entry.position) continue
        listener.lastHeard = entry.position
        listener.hear(entry)
        heard += 1
      }
    }
    return heard
  }

  /** Number of audience keys somebody listens under; zero when nobody listens. */
  get size(): number {
    return this.#byKey.size
  }
}

function keysOf(audience: Audience): readonly Key[] {
  return audience === 'all' ? ['all'] : audience
}

function getOrSet<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
