import type { Timestamp } from './clock.ts'

/** Date and time apart by `T` or a blank, seconds and offset optional. In a query string the `+` of an offset arrives as a blank. */
const INSTANT = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([-+ ])(\d\d):?(\d\d)?)?$/

const MINUTE_MS = 60_000

/**
 * An ISO 8601 instant as somebody wrote it, in UTC; without an offset it is read as UTC (identity contract, section 1.1). Digits past the
 * microsecond are dropped. Undefined when it is none, or lies outside the years 1 to 9999.
 */
export function readTimestamp(text: string): Timestamp | undefined {
  const [matched, day = '', time = '', seconds = '00', fraction = '', sign, hours = '0', minutes = '0'] =
    INSTANT.exec(text) ?? []
  if (matched === undefined || Number(hours) > 23 || Number(minutes) > 59) return undefined
  const local = new Date(`${day}T${time}:${seconds}Z`)
  // A day that its month does not have is carried into the next one.
  if (Number.isNaN(local.getTime()) || local.toISOString().slice(0, 10) !== day) return undefined
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
  const instant = new Date(local.getTime() - offset * MINUTE_MS)
  const year = instant.getUTCFullYear()
  if (year < 1 || year > 9999) return undefined
  return `${instant.toISOString().slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}
