import { faultPoint } from '../../../platform/fault.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Db, Tx } from '../../../platform/db/db.ts'
import { insertFeedProducts, recordFeedChanges, updateFeedProducts, type StoredFeedProduct } from '../feed-products.ts'
import type { FeedEntry } from '../feed/read-feed.ts'
import type { FeedProduct } from '../feed/feed-item.ts'
import { compareWithStored } from './dry-run.ts'
import { meetIds, saveCheckpoint, takeProgressTurn, type Checkpoint, type ImportRow } from './import-queries.ts'
import { commitWithoutWaiting, lockHeld, type Claim } from './lease-queries.ts'
import { insertProblems, type ReportedProblem } from './report-queries.ts'
import { importProgressed, recordImport } from './topics.ts'

/** Another worker has taken the import over, or it has ended. */
export class LeaseLostError extends Error {}

export interface Batch {
  entries: readonly FeedEntry[]
  /** Bytes of the unpacked feed that were read when the batch was complete. */
  bytesRead: number
}

/**
 * Stores one batch and its checkpoint in one transaction: after a crash the import goes on behind exactly what was stored. Answers
 * `cancelling`, and stores nothing, when the import is to end.
 */
export async function storeBatch(
  { db, clock }: { db: Db; clock: Clock },
  claim: Claim,
  batch: Batch,
): Promise<'stored' | 'cancelling'> {
  const answer = await db.transaction(async (tx) => {
    const [held] = await Promise.all([lockHeld(tx, claim.job.id, claim.token), commitWithoutWaiting(tx)])
    if (held === undefined) throw new LeaseLostError()
    if (held.state === 'cancelling') return 'cancelling'
    const outcome = await applyBatch(tx, claim.job, batch.entries, clock.now())
    const problems = reportedProblems(batch.entries, outcome.notOurs)
    await insertProblems(tx, claim.job.id, held.problems, problems)
    const [saved, isOurTurn] = await Promise.all([
      saveCheckpoint(tx, claim.job.id, checkpointOf(batch, outcome, problems)),
      takeProgressTurn(tx, claim.job.id),
    ])
    if (isOurTurn) await recordImport(tx, importProgressed, saved)
    faultPoint('import-before-batch-commit')
    return 'stored'
  })
  faultPoint('import-after-batch-commit')
  return answer
}

export interface BatchOutcome {
  created: number
  updated: number
  unchanged: number
  existing: string[]
  notOurs: string[]
}

async function applyBatch(tx: Tx, job: ImportRow, entries: readonly FeedEntry[], now: Date): Promise<BatchOutcome> {
  const products = entries.flatMap((entry) => (entry.ok ? [entry.product] : []))
  if (job.mode === 'create' && !job.dryRun) {
    const { created, existing } = await insertFeedProducts(tx, job.ownerId, products, now)
    await recordStored(tx, job, created, [])
    return { ...nothing(), created: created.length, existing }
  }
  const { first, again } = await splitRepeated(tx, job.id, products)
  const outcome = job.dryRun ? await compareWithStored(tx, job, first) : await updateStored(tx, job, first, now)
  return { ...outcome, existing: [...outcome.existing, ...again] }
}

async function updateStored(
  tx: Tx,
  job: ImportRow,
  products: readonly FeedProduct[],
  now: Date,
): Promise<BatchOutcome> {
  const { created, updated, unchanged, notOurs } = await updateFeedProducts(tx, job.ownerId, products, now)
  await recordStored(tx, job, created, updated)
  const counts = { created: created.length, updated: updated.length, unchanged: unchanged.length }
  return { ...counts, existing: [], notOurs }
}

/** Parts the products from those whose id this import has met before, in an earlier batch or in this one. */
async function splitRepeated(
  tx: Tx,
  importId: string,
  products: readonly FeedProduct[],
): Promise<{ first: FeedProduct[]; again: string[] }> {
  const open = await meetIds(
    tx,
    importId,
    products.map((product) => product.feedId),
  )
  const first: FeedProduct[] = []
  const again: string[] = []
  for (const product of products) {
    if (open.delete(product.feedId)) first.push(product)
    else again.push(product.feedId)
  }
  return { first, again }
}

function nothing(): BatchOutcome {
  return { created: 0, updated: 0, unchanged: 0, existing: [], notOurs: [] }
}

async function recordStored(
  tx: Tx,
  job: ImportRow,
  created: readonly StoredFeedProduct[],
  updated: readonly StoredFeedProduct[],
): Promise<void> {
  await recordFeedChanges(tx, { ownerId: job.ownerId, source: 'import', sourceId: job.id, created, updated })
}

/** The problems of a batch in file order; items of other people's products are among them. */
function reportedProblems(entries: readonly FeedEntry[], notOurs: readonly string[]): ReportedProblem[] {
  const foreign = new Set(notOurs)
  return entries.flatMap((entry): ReportedProblem[] => {
    const { item, line } = entry
    if (!entry.ok) return entry.problems.map((problem) => ({ item, id: entry.id, ...problem }))
    const { feedId } = entry.product
    // Only the first item of an id was compared with the catalogue; later ones count as existing.
    if (!foreign.delete(feedId)) return []
    return [{ item, line, id: feedId, element: 'g:id', rule: 'not yours', value: feedId }]
  })
}

function checkpointOf(batch: Batch, outcome: BatchOutcome, problems: readonly ReportedProblem[]): Checkpoint {
  const items = new Map(problems.map((problem) => [problem.item, problem.id]))
  const { created, updated, unchanged, existing } = outcome
  return {
    itemsRead: batch.entries.at(-1)!.item,
    bytesRead: batch.bytesRead,
    created,
    updated,
    unchanged,
    existing,
    problematic: items.size,
    problematicIds: [...items.values()].filter((id) => id !== null),
    problems: problems.length,
  }
}
