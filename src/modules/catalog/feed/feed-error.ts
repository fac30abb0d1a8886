/** The document as a whole cannot be read: not well-formed, in a wrong encoding, or past a bound that keeps memory flat. */
export class FeedError extends Error {
  constructor(
    readonly reason: string,
    /** Counted from 1; null where no position is known. */
    readonly line: number | null = null,
    readonly column: number | null = null,
  ) {
    super(line === null ? reason : `${reason} (line ${line}, column ${column ?? 0})`)
    this.name = 'FeedError'
  }
}
