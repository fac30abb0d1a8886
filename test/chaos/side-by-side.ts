/** Runs what it is given, at most so many at once and in the order in which they were given. */
export type SideBySide = <T>(work: () => Promise<T>) => Promise<T>

export function createSideBySide(atOnce: number): SideBySide {
  const waiting: (() => void)[] = []
  let running = 0

  return async (work) => {
    if (running === atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      // Whoever waits takes the place over, so that nobody who comes later can slip in.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
