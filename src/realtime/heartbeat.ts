import type { Service } from '../platform/service.ts'

/** Something held open that must be spoken to now and then, and may end at a time of its own. */
export interface Beating {
  /** When its credential ends, in Unix milliseconds; infinite when it does not. */
  readonly expiresAt: number
  expire(): void
  beat(): void
}

const SLOTS = 30

/**
 * One timer for all sockets: each is in one of 30 slots, and every thirtieth of the interval one slot is spoken to, so that ten thousand
 * sockets cost neither ten thousand timers nor a burst. Expiry is looked at for all of them each time.
 */
export class Heartbeat {
  readonly service: Service
  readonly #slots: Set<Beating>[] = Array.from({ length: SLOTS }, () => new Set<Beating>())
  readonly #now: () => number
  #slot = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: { name: string; everyMs: number; now: () => number }) {
    this.#now = options.now
    this.service = {
      name: options.name,
      start: async () => {
        this.#timer = setInterval(() => this.#tick(), options.everyMs / SLOTS)
      },
      stop: async () => clearInterval(this.#timer),
    }
  }

  add(beating: Beating): void {
    // The slot that was just served: the first beat comes a whole interval from now.
    this.#slots[this.#slot]!.add(beating)
  }

  remove(beating: Beating): void {
    for (const slot of this.#slots) if (slot.delete(beating)) return
  }

  #tick(): void {
    const now = this.#now()
    for (const slot of this.#slots) for (const beating of slot) if (beating.expiresAt <= now) beating.expire()
    this.#slot = (this.#slot + 1) % SLOTS
    for (const beating of this.#slots[this.#slot]!) beating.beat()
  }
}
