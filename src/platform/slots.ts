/** Runs the work when one of the slots is free. */
export type Slots = <T>(work: () => Promise<T>) => Promise<T>

/** Lets at most `count` pieces of work run at a time; the rest wait their turn in the order in which they came. */
export function createSlots(count: number): Slots {
  const waiting: (() => void)[] = []
  let running = 0

  return async (work) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      // The slot goes to the next in line without being free in between, so that nobody can slip in.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
