import { compareFeedIds } from './feed-products.ts'
import type { FeedProduct } from './feed/feed-item.ts'
import { readFeed } from './feed/read-feed.ts'
import type { SpoolFile } from './spool.ts'
import { createSpooledList, type SpooledList } from './spooled-list.ts'
import { MAX_NAMED_IDS } from './upload-queries.ts'

/** Items that break a rule. A hostile file has millions of them and the reasons are longer than the items, so memory holds the first ids only. */
export interface ItemProblems {
  count: number
  /** As many as a mail names. */
  firstIds: string[]
}

/** What an upload keeps on disk while it is planned and answered. */
export interface UploadSpool {
  feed: SpoolFile
  products: SpoolFile
  problematicIds: SpoolFile
  problems: SpoolFile
}

/** The two lists of problems as an answer shows them, in file order. */
export interface ProblemLists {
  problematicIds: SpooledList
  /** Of `{item, id, reason}`; items are counted from 1. */
  problems: SpooledList
}

/** What an upload asks for, worked out before its transaction begins. */
export interface UploadPlan {
  /** Ids of the sound items in file order, repetitions included. */
  feedIds: string[]
  problems: ItemProblems
  problemLists: ProblemLists
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
export async function planUpload(spool: UploadSpool): Promise<UploadPlan> {
  const { products } = spool
  const seen = new Set<string>()
  const runs: Place[][] = [[]]
  const feedIds: string[] = []
  const problems = collectProblems(spool)
  let lines: Buffer[] = []
  let waiting = 0
  let offset = 0

  const flush = async (): Promise<void> => {
    await products.write(Buffer.concat(lines))
    lines = []
    waiting = 0
  }
  for await (const entries of readFeed(spool.feed.read(), { batchItems: 100 })) {
    for (const entry of entries) {
      if (!entry.ok) {
        problems.note(entry)
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
    await problems.flush()
  }
  await flush()
  runs.at(-1)?.sort(inOrder)
  const { found, lists } = problems
  return { feedIds, problems: found, problemLists: lists, chunks: () => readChunks(products, mergeRuns(runs)) }
}

function collectProblems(spool: UploadSpool) {
  const found: ItemProblems = { count: 0, firstIds: [] }
  const problematicIds = createSpooledList(spool.problematicIds)
  const problems = createSpooledList(spool.problems)
  return {
    found,
    lists: { problematicIds, problems },
    note({ item, id, reason }: { item: number; id: string | null; reason: string }): void {
      found.count += 1
      problems.add({ item, id, reason })
      if (id === null) return
      problematicIds.add(id)
      if (found.firstIds.length < MAX_NAMED_IDS) found.firstIds.push(id)
    },
    async flush(): Promise<void> {
      await problematicIds.flush()
      await problems.flush()
    },
  }
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
