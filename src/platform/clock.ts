/** The only source of "now" for rules; tests pass a fixed one. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }

/**
 * An instant as the API writes it: RFC 3339, UTC, six decimals (`2025-02-11T13:21:54.181982Z`).
 * PostgreSQL keeps microseconds and a JavaScript Date does not, so instants of rows stay text. Equal length means text order is time order.
 */
export type Timestamp = string

export function toTimestamp(date: Date): Timestamp {
  return date.toISOString().replace('Z', '000Z')
}

/** So many microseconds after an instant. */
export function microsecondsAfter(date: Date, microseconds: number): Timestamp {
  const rest = String(1_000 + (microseconds % 1_000)).slice(1)
  return `${isoMilliseconds(date.getTime() + Math.floor(microseconds / 1_000))}${rest}Z`
}

/** So many seconds after an instant. */
export function secondsAfter(time: Timestamp, seconds: number): Timestamp {
  const beyondMilliseconds = Number(time.slice(-4, -1))
  return microsecondsAfter(new Date(time), seconds * 1_000_000 + beyondMilliseconds)
}

let known = Number.NaN
let knownText = ''

/** Kept from the last call: thousands of rows share a millisecond, and writing it is most of the work. */
function isoMilliseconds(milliseconds: number): string {
  if (milliseconds !== known) {
    knownText = new Date(milliseconds).toISOString().slice(0, -1)
    known = milliseconds
  }
  return knownText
}

let lastMicroseconds = 0

/** A clock that is set back by less goes on from the last instant; further back it is believed. */
const MAX_LEAD_MICROSECONDS = 1_000_000

/**
 * `now` as a timestamp of its own: a microsecond later than the last one this process gave where the clock stood still. Rows that are paged
 * through by time had better not share one.
 */
export function distinctTimestamp(now: Date): Timestamp {
  const microseconds = now.getTime() * 1_000
  const isBehind = microseconds <= lastMicroseconds && lastMicroseconds - microseconds < MAX_LEAD_MICROSECONDS
  lastMicroseconds = isBehind ? lastMicroseconds + 1 : microseconds
  return microsecondsAfter(new Date(0), lastMicroseconds)
}
