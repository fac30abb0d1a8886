import type { Entry } from './entry.ts'

/** Dropping a share at once keeps the cost of dropping small. */
const KEEP_SHARE = 7 / 8

/** The newest part of the log in memory, without gaps: every change after `start`, up to and with `end`. Bounded in number and bytes. */
export class RecentChanges {
  #entries: Entry[] = []
  #start = 0
  #bytes = 0
  readonly #maxCount: number
  readonly #maxBytes: number

  constructor(bounds: { recentChanges: number; recentBytes: number }) {
    this.#maxCount = bounds.recentChanges
    this.#maxBytes = bounds.recentBytes
  }

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#start + this.#entries.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Forgets everything; the next change will be the one after `position`. */
  reset(position: number): void {
    this.#entries = []
    this.#start = position
    this.#bytes = 0
  }

  /** Adds the change after `end`. */
  append(entry: Entry): void {
    if (entry.position !== this.end + 1) throw new Error(`position ${entry.position} does not follow ${this.end}`)
    this.#entries.push(entry)
    this.#bytes += entry.bytes
    if (this.#entries.length > this.#maxCount || this.#bytes > this.#maxBytes) this.#drop()
  }

  /** Adds older changes that end at `start`; refused when they would be the first to be dropped again. */
  prepend(older: Entry[]): boolean {
    const bytes = older.reduce((sum, entry) => sum + entry.bytes, 0)
    if (!this.hasRoomFor(older.length, bytes)) return false
    this.#entries = [...older, ...this.#entries]
    this.#start -= older.length
    this.#bytes += bytes
    return true
  }

  hasRoomFor(count: number, bytes: number): boolean {
    return (
      this.#entries.length + count <= this.#maxCount * KEEP_SHARE && this.#bytes + bytes <= this.#maxBytes * KEEP_SHARE
    )
  }

  /** The changes after `after`, up to and with `upTo`; `after` must not lie before `start`. */
  between(after: number, upTo: number): Entry[] {
    if (after < this.#start) throw new Error(`position ${after} is no longer in memory`)
    return this.#entries.slice(after - this.#start, upTo - this.#start)
  }

  #drop(): void {
    let count = Math.max(0, this.#entries.length - Math.floor(this.#maxCount * KEEP_SHARE))
    let bytes = 0
    for (let index = 0; index < count; index++) bytes += this.#entries[index]!.bytes
    while (this.#bytes - bytes > this.#maxBytes * KEEP_SHARE && count < this.#entries.length) {
      bytes += this.#entries[count]!.bytes
      count += 1
    }
    this.#entries = this.#entries.slice(count)
    this.#start += count
    this.#bytes -= bytes
  }
}
