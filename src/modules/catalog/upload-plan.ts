import { compareFeedIds } from './feed-products.ts'
import type { FeedProduct } from './feed/feed-item.ts'
import { readFeed } from './feed/read-feed.ts'
import type { SpoolFile } from './spool.ts'

export interface ItemProblem {
  /** Counted from 1. */
  item: number
  id: string | null
  reason: string
}

/** What an upload asks for, worked out before its transaction begins. */
export interface UploadPlan {
  /** Ids of the sound items in file order, repetitions included. */
  feedIds: string[]
  problems: ItemProblem[]
  /** The products to store, first of each id, in the order in which everybody takes ids, in pieces for one call. */
  chunks(): AsyncGenerator<FeedProduct[]>
}

/** Where a product lies in the spool of products. */
interface Place {
  feedId: string
  offset: number
  length: number
}

const CHUNK_PRODUCTS = 500
const CHUNK_BYTES = 1024 * 1024
const WRITE_BYTES = 256 * 1024
/** Sorted at once; sorting everything at the end would hold the event loop. */
const RUN_PLACES = 4_000

/**
 * Reads the feed once, outside any transaction, and keeps its products in a second spool file, of which only the places are held in memory:
 * they must be stored in the order of their ids, whatever the order in the file. Throws FeedError.
 */
export async function planUpload(feed: AsyncIterable<Buffer>, products: SpoolFile): Promise<UploadPlan> {
  const seen = new Set<string>()
  const runs: Place[][] = [[]]
  const feedIds: string[] = []
  const problems: ItemProblem[] = []
  let lines: Buffer[] = []
  let waiting = 0
  let offset = 0

  const flush = async (): Promise<void> => {
    await products.write(Buffer.concat(lines))
    lines = []
    waiting = 0
  }
  for await (const entries of readFeed(feed, { batchItems: 100 })) {
    for (const entry of entries) {
      if (!entry.ok) {
        problems.push({ item: entry.item, id: entry.id, reason: entry.reason })
        continue
      }
      const { feedId } = entry.product
      feedIds.push(feedId)
      if (seen.has(feedId)) continue
      seen.add(feedId)
      const line = Buffer.from(JSON.stringify(entry.product))
      addPlace(runs, { feedId, offset, length: line.length })
      lines.push(line)
      offset += line.length
      waiting += line.length
      if (waiting >= WRITE_BYTES) await flush()
    }
  }
  await flush()
  runs.at(-1)?.sort(inOrder)
  return { feedIds, problems, chunks: () => readChunks(products, mergeRuns(runs)) }
}

function inOrder(a: Place, b: Place): number {
  return compareFeedIds(a.feedId, b.feedId)
}

function addPlace(runs: Place[][], place: Place): void {
  const run = runs.at(-1)!
  run.push(place)
  if (run.length < RUN_PLACES) return
  run.sort(inOrder)
  runs.push([])
}

/** All places in order, out of runs that are sorted each; an upload has few of them, so their heads are simply compared. */
function* mergeRuns(runs: readonly (readonly Place[])[]): Generator<Place> {
  const heads = runs.map((run) => ({ run, next: 0 }))
  for (;;) {
    let least: { run: readonly Place[]; next: number } | undefined
    for (const head of heads) {
      const place = head.run[head.next]
      if (place !== undefined && (least === undefined || inOrder(place, least.run[least.next]!) < 0)) least = head
    }
    if (least === undefined) return
    yield least.run[least.next]!
    least.next += 1
  }
}

async function* readChunks(products: SpoolFile, places: Iterable<Place>): AsyncGenerator<FeedProduct[]> {
  let chunk: Place[] = []
  let bytes = 0
  for (const place of places) {
    chunk.push(place)
    bytes += place.length
    if (chunk.length < CHUNK_PRODUCTS && bytes < CHUNK_BYTES) continue
    yield readChunk(products, chunk)
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) yield readChunk(products, chunk)
}

async function readChunk(products: SpoolFile, places: readonly Place[]): Promise<FeedProduct[]> {
  const lines = await Promise.all(places.map(({ offset, length }) => products.readAt(offset, length)))
  return lines.map((line) => JSON.parse(line.toString()) as FeedProduct)
}
