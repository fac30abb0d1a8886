import type { RestLimits, StreamLimits } from './read-body.ts'

/** Time-outs and bounds of the server; tests pass shorter ones. */
export interface HttpLimits {
  /** A JSON or form body must be complete after this. */
  bodyTimeoutMs: number
  /** Headers must be complete after this. */
  headersTimeoutMs: number
  /** A connection on which nothing moves in either direction is closed. Long waits of ours (`wait=30`) stay below it. */
  idleTimeoutMs: number
  /** What is still taken from a client that was answered before it had sent everything. */
  rest: RestLimits
  /** How slowly a streamed upload may arrive. */
  stream: StreamLimits
  /** Requests waiting for one of the pool's connections, per connection, past which 503 is quicker than waiting. */
  waitingPerConnection: number
  /** Running requests get this long when the server closes. */
  closeGraceMs: number
}

export const defaultLimits: HttpLimits = {
  bodyTimeoutMs: 30_000,
  headersTimeoutMs: 15_000,
  idleTimeoutMs: 180_000,
  rest: { bytes: 64 * 1024 * 1024, ms: 10_000 },
  stream: { windowMs: 20_000, minBytes: 1_024 },
  waitingPerConnection: 100,
  closeGraceMs: 4_500,
}

/** Bytes of a JSON, form or multipart body unless the route sets `bodyLimit` (identity contract, section 1.2). */
export const BODY_LIMIT = 1_048_576

/** Bytes of all headers and the request line: room for path parts of 2,000 characters, nine bytes each when percent-encoded. */
export const MAX_HEADER_BYTES = 32_768
export const MAX_PATH_PART = 18_000
