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

/**
 * Reads the feed once, outside any transaction, and keeps its products in a second spool file, of which only the places are held in memory:
 * they must be stored in the order of their ids, whatever the order in the file. Throws FeedError.
 */
export async function planUpload(feed: AsyncIterable<Buffer>, products: SpoolFile): Promise<UploadPlan> {
  const places = new Map<string, Place>()
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
      if (places.has(feedId)) continue
      const line = Buffer.from(JSON.stringify(entry.product))
      places.set(feedId, { feedId, offset, length: line.length })
      lines.push(line)
      offset += line.length
      waiting += line.length
      if (waiting >= WRITE_BYTES) await flush()
    }
  }
  await flush()
  return { feedIds, problems, chunks: () => readChunks(products, [...places.values()]) }
}

async function* readChunks(products: SpoolFile, places: Place[]): AsyncGenerator<FeedProduct[]> {
  places.sort((a, b) => compareFeedIds(a.feedId, b.feedId))
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
