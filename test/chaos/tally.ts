export interface Tally {
  readonly passed: number
  readonly failed: number
  /** Runs one attempt; it has failed when it names problems or throws. */
  attempt<T extends { problems: readonly string[] }>(name: string, work: () => Promise<T>): Promise<T | undefined>
  /** One line about a part that is done. */
  say(part: string, what: string): void
}

export function createTally(): Tally {
  let passed = 0
  let failed = 0

  function enter(name: string, problems: readonly string[]): void {
    if (problems.length === 0) passed += 1
    else failed += 1
    for (const problem of problems) console.error(`  ${name}: ${problem}`)
  }

  return {
    get passed() {
      return passed
    },
    get failed() {
      return failed
    },
    attempt: async (name, work) => {
      try {
        const outcome = await work()
        enter(name, outcome.problems)
        return outcome
      } catch (error) {
        enter(name, [error instanceof Error ? error.message : String(error)])
        return undefined
      }
    },
    say: (part, what) => console.log(`${part.padEnd(28)} ${what}`),
  }
}
