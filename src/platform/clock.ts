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
