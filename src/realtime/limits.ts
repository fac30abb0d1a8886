/** The bounds of the live contract and our own beside them. Tests shorten the intervals. */
export interface Limits {
  topicsPerSocket: number
  socketsPerUser: number
  /** Open event streams and waiting reads of one user, counted apart from sockets. */
  streamsPerUser: number
  /** Waiting reads of one process. */
  waiters: number
  /** Handshakes being authenticated at one time. */
  handshakes: number
  /** Largest frame from a client; 1009 above. */
  frameBytes: number
  /** Frames from a client in `frameWindowMs`; 1008 above. */
  framesPerWindow: number
  frameWindowMs: number
  /** What may wait for one slow reader; 4408 above. */
  bufferBytes: number
  /** A replay pauses while more than this waits, so that it never fills the buffer by itself. */
  replayBufferBytes: number
  pingEveryMs: number
  missedPings: number
  /** Comment lines of event streams, which keep proxies from closing them. */
  heartbeatEveryMs: number
  /** Changes kept in memory for those who come back soon. */
  recentChanges: number
  recentBytes: number
}

export const defaultLimits: Limits = {
  topicsPerSocket: 50,
  socketsPerUser: 300,
  streamsPerUser: 300,
  waiters: 5_000,
  handshakes: 10_000,
  frameBytes: 64 * 1024,
  framesPerWindow: 60,
  frameWindowMs: 10_000,
  bufferBytes: 1024 * 1024,
  replayBufferBytes: 128 * 1024,
  pingEveryMs: 30_000,
  missedPings: 2,
  heartbeatEveryMs: 15_000,
  recentChanges: 10_000,
  recentBytes: 2 * 1024 * 1024,
}
