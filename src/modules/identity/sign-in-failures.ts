import { TooManyRequestsError } from '../../platform/errors.ts'
import type { Db } from '../../platform/db/db.ts'
import type { Timestamp } from '../../platform/clock.ts'
import { insertFailure, type FailureKey } from './sign-in-failure-queries.ts'
import { digestOf } from './tokens.ts'

/** Identity contract, section 1.3: failures within 5 minutes, a sliding window. */
export const FAILURE_WINDOW_MS = 5 * 60_000

/**
 * The subject for a name that no user has. Names share 65,536 buckets, so that guessing names leaves a bounded number of rows; whoever
 * shares one shares it with other names that do not exist.
 */
export function unknownSubject(name: string): string {
  return `?${digestOf(name).readUInt16BE(0)}`
}

/** IPv6 hands a whole /64 to one subscriber, so that is what one address means there. */
export function addressOf(ip: string): string {
  if (!ip.includes(':') || ip.includes('.')) return ip.replace(/^::ffff:/i, '')
  const [head = '', tail] = ip.toLowerCase().split('::')
  const groups = head.split(':').filter((group) => group !== '')
  const rest = tail === undefined ? [] : tail.split(':').filter((group) => group !== '')
  const zeros = Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill('0')
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(':')}::/64`
}

/** Counts one failed sign-in and throws TooManyRequestsError when it is one too many. */
export async function countFailure(db: Db, key: FailureKey, now: Date): Promise<void> {
  if (key.limit === 0) return
  refuseIfBlocked(await db.transaction((tx) => insertFailure(tx, key, now)), key.limit, now)
}

/** Throws TooManyRequestsError as long as that failure is within the window. A limit of 0 is no limit. */
export function refuseIfBlocked(blockingFailureAt: Timestamp | null, limit: number, now: Date): void {
  if (limit === 0 || blockingFailureAt === null) return
  const waitMs = Date.parse(blockingFailureAt) + FAILURE_WINDOW_MS - now.getTime()
  if (waitMs <= 0) return
  throw new TooManyRequestsError(
    'Too many failed sign-ins. Try again later.',
    Math.min(waitMs, FAILURE_WINDOW_MS) / 1000,
  )
}
