import { errorCode } from '../db/db.ts'
import { InvalidError, UnavailableError, type SoukError } from '../errors.ts'

/** SQLSTATEs (or their class) that pass by themselves: the same request may succeed in a moment. */
const UNAVAILABLE = [
  '08', // connection exception
  '53', // out of connections, memory or disk
  '57P', // shut down, crashed, still starting
  '57014', // statement time-out
  '55P03', // lock time-out
  '25P03', // idle in transaction for too long
  '25006', // read-only: a standby that is being promoted
  '40001', // serialization failure, retries used up
  '40P01', // deadlock, retries used up
]

/** Text that PostgreSQL cannot store: NUL characters and lone surrogates that no schema has caught. */
const UNSTORABLE_TEXT = new Set(['22021', '22P05'])

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/** `pg` throws these without a code. */
const POOL_MESSAGES = [
  'timeout exceeded when trying to connect',
  'Connection terminated',
  'Client has encountered a connection error and is not queryable',
  'Cannot use a pool after calling end on the pool',
  'Query read timeout',
]

const RETRY_AFTER_SECONDS = 2

/** What a failure of the database means to the client; undefined when the error is something else. */
export function fromDatabaseError(error: unknown): SoukError | undefined {
  if (isUnavailable(error)) return new UnavailableError('The database cannot be reached just now.', RETRY_AFTER_SECONDS)
  if (UNSTORABLE_TEXT.has(errorCode(error) ?? ''))
    return new InvalidError('The text contains characters that cannot be stored.')
  return undefined
}

function isUnavailable(error: unknown): boolean {
  const code = errorCode(error)
  if (code !== undefined)
    return isSocketError(error, code) || (code.length === 5 && UNAVAILABLE.some((start) => code.startsWith(start)))
  return error instanceof Error && POOL_MESSAGES.some((start) => error.message.startsWith(start))
}

/** `ENOENT` is a missing Unix socket when it comes from connecting, and something else entirely when it comes from a file. */
function isSocketError(error: unknown, code: string): boolean {
  return NETWORK_CODES.has(code) || (code === 'ENOENT' && (error as { syscall?: string }).syscall === 'connect')
}
