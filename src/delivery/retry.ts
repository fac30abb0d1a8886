/** Spread of a wait to both sides, so that what failed together does not come back together. */
const JITTER = 0.2

interface RetryOptions {
  /** Attempts in all, the first included. */
  maxAttempts: number
  /** A number in [0, 1); tests pass a fixed one. */
  random?: () => number
}

/** Waits that grow by `factor` from `baseMs`, each up to 20 % longer or shorter; undefined once `maxAttempts` were made. */
export function growingDelay(options: RetryOptions & { baseMs: number; factor: number; maxMs: number }) {
  return (attempts: number): number | undefined => {
    if (attempts >= options.maxAttempts) return undefined
    return spread(Math.min(options.baseMs * options.factor ** (attempts - 1), options.maxMs), options.random)
  }
}

/** Waits from a list, one per retry; undefined at its end. */
export function listedDelay(options: { delaysMs: readonly number[]; random?: () => number }) {
  return (attempts: number): number | undefined => {
    const delay = options.delaysMs[attempts - 1]
    return delay === undefined ? undefined : spread(delay, options.random)
  }
}

function spread(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (1 - JITTER + 2 * JITTER * random()))
}
