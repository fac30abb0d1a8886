/** Asks every few milliseconds until it is true; throws when it takes too long. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, maxMs = 15_000): Promise<void> {
  const end = performance.now() + maxMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${maxMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
