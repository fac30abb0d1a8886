import type { Clock } from '../../src/platform/clock.ts'

export interface MovableClock extends Clock {
  advance(seconds: number): void
}

/** The clock of the machine, put forward by hand. */
export function movableClock(): MovableClock {
  let aheadMs = 0
  return {
    now: () => new Date(Date.now() + aheadMs),
    advance: (seconds) => {
      aheadMs += seconds * 1_000
    },
  }
}
