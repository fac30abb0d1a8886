/** Runs the work when its turn has come. */
export type Lane = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Lets at most `width` pieces of work run at a time; the rest wait their turn in order. Keeps a storm of reconnecting readers from taking
 * every database connection.
 */
export function createLane(width: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0

  return async (work) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      // The place goes to the next in line without being free in between, so that nobody can slip in.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
