import { errorCode } from '../platform/db/db.ts'

/** SQLSTATE classes: connection exception, insufficient resources, operator intervention; a server that has become read-only. */
const OUTAGE_STATE = /^(?:08...|53...|57P0.|25006)$/
const OUTAGE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'ENOENT',
  'EHOSTUNREACH',
  'EAI_AGAIN',
])
/** pg gives errors of its own no code. */
const OUTAGE_TEXT =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/

/** Whether the database was out of reach, so that the error says nothing about the work. */
export function isOutage(error: unknown): boolean {
  const code = errorCode(error)
  if (code !== undefined) return OUTAGE_STATE.test(code) || OUTAGE_CODES.has(code)
  return error instanceof Error && OUTAGE_TEXT.test(error.message)
}
