import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'

import { hash, verify, type Options } from '@node-rs/argon2'

import { UnavailableError } from '../../platform/errors.ts'

/** OWASP's first choice for argon2id: 19 MiB, two passes; about 25 ms here. */
const COST: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
/** No password of ours is longer; a guess past this is not carried through the queue. */
const LONGEST_GUESS = 512

/** Hashing runs on libuv's four threads, which files and name look-ups need as well: one is left to them. */
const CONCURRENCY = Math.max(1, Math.min(3, availableParallelism()))
/** About 12 s of work on two cores; whoever comes later is better served by trying again. */
const MAX_WAITING = 1_000
const RETRY_AFTER_SECONDS = 5

/** Hashes and checks passwords off the event loop, a few at a time; throws UnavailableError when too many wait. */
export function createPasswordHashing(options: { concurrency?: number; maxWaiting?: number } = {}) {
  const { concurrency = CONCURRENCY, maxWaiting = MAX_WAITING } = options
  const waiting: (() => void)[] = []
  let running = 0
  let nobody: string | undefined

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running < concurrency) running += 1
    else await waitForSlot()
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }

  /** Resolves with a slot that a finished piece of work has handed over. */
  function waitForSlot(): Promise<void> {
    if (waiting.length >= maxWaiting) {
      throw new UnavailableError('Too many sign-ins at the moment. Try again in a few seconds.', RETRY_AFTER_SECONDS)
    }
    return new Promise((resolve) => waiting.push(resolve))
  }

  function isRight(passwordHash: string, password: string): Promise<boolean> {
    const guess = password.length > LONGEST_GUESS ? '' : password
    return inTurn(() => verify(passwordHash, guess))
  }

  return {
    hash: (password: string) => inTurn(() => hash(password, COST)),
    isRight,
    /** Takes as long as a real check, so that the time of an answer does not tell which names exist. */
    async checkNobody(password: string): Promise<void> {
      nobody ??= await inTurn(() => hash(randomBytes(16), COST))
      await isRight(nobody, password)
    },
  }
}

/** The one queue of this process: what it guards, threads and memory, belongs to the process too. */
export const passwordHashing = createPasswordHashing()
