import { FeedError } from './feed-error.ts'
import { createItemReader, type FeedEntry } from './item-reader.ts'
import { createXmlReader, type XmlHandlers } from './xml-reader.ts'

export { FeedError } from './feed-error.ts'
export type { FeedEntry, FeedProblem } from './item-reader.ts'

/**
 * Bytes parsed before looking at the clock: half a millisecond of work in an ordinary feed, a hundred times that in one made of tiny items
 * or of markup to be cleaned away. So the first piece is small and the others follow the time that was needed.
 */
const MIN_PIECE_BYTES = 2 * 1024
const MAX_PIECE_BYTES = 16 * 1024
const PIECE_MS = 1
/**
 * After this long in one turn of the event loop others get theirs: requests, and in the import thread the answers of the database, which would
 * stand still for as long some twenty times in every batch.
 */
const TURN_MS = 0.5
const BATCH_ITEMS = 1_000
/** A batch ends early after so many bytes of the file: texts of its items may keep alive the chunks they were cut from. */
const BATCH_BYTES = 8 * 1024 * 1024

export interface WellFormedCheck {
  write(chunk: Buffer): Promise<void>
  end(): void
}

/** Follows a document while it arrives; `write` and `end` throw FeedError where it stops being well-formed. */
export function checkWellFormed(): WellFormedCheck {
  const parser = createPacedParser()
  return {
    write: async (chunk) => {
      for await (const _ of parser.write(chunk)) continue
    },
    end: () => parser.end(),
  }
}

/** Checks a whole stored document. Throws FeedError. */
export async function requireWellFormed(source: AsyncIterable<Buffer>): Promise<void> {
  const check = checkWellFormed()
  for await (const chunk of source) await check.write(chunk)
  check.end()
}

export interface ReadOptions {
  /** Most items in one batch; default 1,000. */
  batchItems?: number
  /** Items up to this number are passed over; the first one yielded has the number after it. */
  skipItems?: number
}

/**
 * Reads a feed and yields its items in file order, a batch at a time; throws FeedError when the document turns out not to be well-formed.
 * Memory stays flat whatever the size of the file, and the event loop is given back every few milliseconds.
 */
export async function* readFeed(source: AsyncIterable<Buffer>, options: ReadOptions = {}): AsyncGenerator<FeedEntry[]> {
  const batchItems = options.batchItems ?? BATCH_ITEMS
  let entries: FeedEntry[] = []
  let batchBytes = 0
  const handlers = createItemReader({ skipItems: options.skipItems ?? 0, onItem: (entry) => entries.push(entry) })

  const parser = createPacedParser(handlers)
  for await (const chunk of source) {
    for await (const bytes of parser.write(chunk)) {
      batchBytes += bytes
      while (entries.length >= batchItems || (batchBytes >= BATCH_BYTES && entries.length > 0)) {
        yield entries.splice(0, batchItems)
        batchBytes = 0
      }
    }
  }
  parser.end()
  if (entries.length > 0) yield entries
}

interface PacedParser {
  /** Parses a chunk piece by piece and yields the size of each. */
  write(chunk: Buffer): AsyncGenerator<number>
  end(): void
}

function createPacedParser(handlers?: XmlHandlers): PacedParser {
  const reader = createXmlReader(handlers)
  let pieceBytes = MIN_PIECE_BYTES
  return {
    async *write(chunk) {
      for (let at = 0; at < chunk.length;) {
        const piece = chunk.subarray(at, at + pieceBytes)
        at += piece.length
        const began = performance.now()
        reader.write(piece)
        const isSlow = performance.now() - began > PIECE_MS
        pieceBytes = isSlow ? Math.max(pieceBytes / 4, MIN_PIECE_BYTES) : Math.min(pieceBytes * 2, MAX_PIECE_BYTES)
        yield piece.length
        if (performance.now() - turnBegan >= TURN_MS) await nextTurn()
      }
    },
    end: () => reader.end(),
  }
}

let turnBegan = 0
let turn: Promise<void> | undefined

/** One turn for all parsers of this process together: many uploads at once hold the event loop little longer than one. */
function nextTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined
      turnBegan = performance.now()
      resolve()
    })
  })
  return turn
}

export function isFeedError(error: unknown): error is FeedError {
  return error instanceof FeedError
}
